"""Whether a question is in English, by its script and by words that give another language away.

Not a guess at which language it is: one such word is enough not to answer, since a foreign side or negation that was
passed over would turn the answer round.
"""

from __future__ import annotations

import re
import unicodedata


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TELLING = _set(
    """droit droite droits droites gauche gauches dans avec sans sont les du aux reins rein rénal rénale rénaux
    hépatique foie
    poumon poumons vessie vésicule coeur cœur calcul calculs kyste kystes pierre pierres aucun aucune douleur
    links rechts linke linken linker linkes rechte rechten rechter rechtes beidseits und oder ist der das dem eine einen
    einer kein keine keinen keiner mit ohne nicht niere nieren leber milz lunge gallenblase harnblase magen zyste zysten
    nierenstein nierensteine gallenstein gallensteine wirbel knochen
    izquierdo izquierda izquierdos izquierdas derecho derecha derechos derechas hay riñon riñón riñones hígado higado
    bazo pulmón vejiga vesícula corazón hueso piedra piedras cálculo cálculos quiste quistes ningún ninguna
    destra destro sinistro nel nella della dello degli delle senza reni fegato milza polmone polmoni vescica
    colecisti cuore calcolo calcoli
    direita direito esquerda esquerdo não nao fígado figado baço pulmão bexiga coração pedra pedras cisto cistos
    het een geen zonder niet nier milt galblaas blaas nierstenen galstenen"""
)
"""Words of French, German, Spanish, Italian, Portuguese and Dutch that no English question holds: sides, negations,
articles and prepositions, the commonest organs and findings."""
_WEAK = _set("la le de di die el en un une il lo da do na em à est")
"""Words that are English or part of names as well ("en bloc", "de novo"): two of them tell."""
_WORD = re.compile(r"[^\W\d_]+")


def foreign_words(text: str) -> tuple[str, ...]:
    """The words of a text that show that it is not in English, as written; empty where nothing does.

    Parameters
    ----------
    text : str
        A question.
    """
    words = _WORD.findall(unicodedata.normalize("NFC", text))
    other = [w for w in words if not _latin(w)]
    if sum(map(len, other)) * 2 > sum(map(len, words)):
        return tuple(dict.fromkeys(other))
    telling = tuple(dict.fromkeys(w for w in words if w.lower() in _TELLING))
    weak = tuple(dict.fromkeys(w for w in words if w.lower() in _WEAK))
    return telling or (weak if len(weak) > 1 else ())


def _latin(word: str) -> bool:
    """Whether most letters of a word are Latin; a single Greek letter is a name as well ("β cell")."""
    return len(word) == 1 or sum("LATIN" in unicodedata.name(c, "") for c in word) * 2 > len(word)
