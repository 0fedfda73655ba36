import socket

import pytest

from index_store.errors import UsageError
from retriever.options import RetrieverOptions
from retriever.server import listen, serve


def test_a_taken_port_is_a_mistake_that_names_the_address():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"cannot listen on 127.0.0.1:{port}: .*in use"):
            serve(RetrieverOptions(store="memory://taken", port=port))


def test_an_address_of_another_machine_is_a_mistake():
    with pytest.raises(UsageError, match=r"cannot listen on 192\.0\.2\.1:0: Cannot assign"):
        listen(RetrieverOptions(store="memory://host", host="192.0.2.1", port=0))


def test_answers_are_not_held_back():
    with listen(RetrieverOptions(store="memory://tcp", port=0)) as listening:
        assert listening.proto == socket.IPPROTO_TCP
