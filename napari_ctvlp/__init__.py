"""Open a CT scan in napari, ask it in plain words, see which organs answer and what looks abnormal.

Importing this package loads none of torch, Qt, napari or transformers: the rooms below are imported on use.

- ``napari_ctvlp.anatomy``: the words (label schemes, synonyms, the abnormality dictionary)
- ``napari_ctvlp.scan``: the scan and its organ masks on one grid in mm
- ``napari_ctvlp.encoder``: scan and masks to organ embeddings, text to an embedding
- ``napari_ctvlp.ask``: rank organs for a query, score abnormalities
- ``napari_ctvlp.session``: the state of one open scan and its answers
- ``napari_ctvlp._qt``: the window
"""

__version__ = "0.1.0"
