"""Which languages a lexical index knows the word forms of; pure."""

# Primary language tag to the name of its Snowball stemmer; any other language goes by whole words.
STEMMERS = {
    "ar": "arabic",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nb": "norwegian",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
}
# Of these the engine knows the words that say nothing by themselves, such as "the" and "pour".
WITH_STOP_WORDS = frozenset(
    ("da", "de", "en", "es", "fi", "fr", "hu", "it", "nb", "nl", "nn", "no", "pt", "ru", "sv")
)
WHOLE_WORDS = ""  # stands for every language without a stemmer


def analysed_as(tag: str) -> str:
    """Return the language whose word forms a text goes by.

    Args:
        tag: Language tag such as "fr" or "fr-CA", or empty.

    Returns:
        A key of `STEMMERS`, or `WHOLE_WORDS`.
    """
    primary = tag.replace("_", "-").partition("-")[0].lower()
    return primary if primary in STEMMERS else WHOLE_WORDS
