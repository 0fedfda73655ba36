"""French and English words that say nothing about a subject, accents folded.

Invariant: the set is part of the lexical scheme; changing it changes the revision of the embedders.
"""

_ENGLISH = """
a about after all also am an and any are as at be been before being between both but by can
could did do does doing during each either few for from further had has have having he her here
hers him his how i if in into is it its itself just may me might more most must my no nor not of
off on once only or other our ours out over own same shall she should so some such than that the
their theirs them then there these they this those through to too under until up upon us very
was we were what when where whether which while who whom whose why will with would you your
yours
"""

_FRENCH = """
a ai ainsi as au aucun aucune aussi autre autres aux avait avant avec avez avoir avons c car ce
ceci cela celle celles celui ces cet cette ceux chaque chez ci comme comment d dans de depuis
des doit doivent donc dont du elle elles en encore entre es est et etaient etait etant ete etes
etre eu eux fait faut font fut ici il ils j je l la laquelle le lequel les lesquelles lesquels
leur leurs lors lorsque lui m ma mais me meme memes mes moi moins mon n ne ni nos notre nous on
ont or ou par parce pas pendant peu peut peuvent peux plus pour pourquoi puis qu quand que quel
quelle quelles quels qui quoi s sa sans se sera seront ses si soi soit son sont sous sur t ta te
tel telle tels tes toi ton tous tout toute toutes tres tu un une vers via vos votre vous y
"""

STOP_WORDS = frozenset(_ENGLISH.split()) | frozenset(_FRENCH.split())
