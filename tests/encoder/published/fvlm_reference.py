"""fVLM once more, plainly and slowly, from the description of its steps: what the adapter is compared with.

Shares no code with the adapter: whole arrays, one organ at a time, attention written out, weights by name.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

LOBES = ("lung_upper_lobe_left", "lung_lower_lobe_left", "lung_upper_lobe_right", "lung_middle_lobe_right",
         "lung_lower_lobe_right")  # fmt: skip
PARTS = (LOBES, ("heart", "atrial_appendage_left"), ("esophagus",), ("aorta",))


def resized(scan, masks):
    """Image (D, H, W) in 0..1 and labels 1..4 at 3 x 1 x 1 mm, D to superior, H to posterior, W to left."""
    merged = np.zeros_like(masks.labels)
    for label, name in masks.names.items():
        for number, names in enumerate(PARTS):
            if name in names:
                merged[masks.labels == label] = number + 1
    target = [int(n * s / t) for n, s, t in zip(scan.hu.shape, scan.spacing, (3, 1, 1), strict=True)]
    image = torch.from_numpy(scan.hu[::-1].astype(np.float32).copy())[None, None]
    labels = torch.from_numpy(merged[::-1].astype(np.float32).copy())[None, None]
    image = F.interpolate(image, size=target, mode="trilinear", align_corners=False)[0, 0]
    labels = F.interpolate(labels, size=target, mode="nearest")[0, 0].round().int()
    return ((image + 1150) / 1500).clamp(0, 1), labels


def box_of(mask):
    where = mask.nonzero()
    return where.min(0).values.tolist(), (where.max(0).values + 1).tolist()


def prepared(scan, masks):
    """Cropped to all organs with a margin of 5 slices and 20 pixels, padded evenly to 112 x 256 x 352."""
    image, labels = resized(scan, masks)
    low, high = box_of(labels > 0)
    cut = tuple(
        slice(max(0, a - m), min(n, b + m)) for a, b, m, n in zip(low, high, (5, 20, 20), image.shape, strict=True)
    )
    image, labels = image[cut], labels[cut]
    pad = []
    for size, least in zip(reversed(image.shape), (352, 256, 112), strict=True):
        extra = max(0, least - size)
        pad += [extra // 2, extra - extra // 2]
    return F.pad(image, pad), F.pad(labels, pad)


def windowed(image, labels, organs):
    """Crop in the middle of the organs' box to 112 x 288 x 352 (or the box, or what there is), padded at its end."""
    low, high = box_of(sum(labels == organ + 1 for organ in organs) > 0)
    own = [box_of(labels == organ + 1) for organ in organs]
    cut = []
    for axis, least in enumerate((112, 288, 352)):
        largest = max(b[axis] - a[axis] for a, b in own)
        size = min(max(least, largest), image.shape[axis])
        start = min(max((low[axis] + high[axis]) // 2 - size // 2, 0), image.shape[axis] - size)
        cut.append(slice(start, start + size))
    image, labels = image[tuple(cut)], labels[tuple(cut)]
    pad = [x for size, p in zip(reversed(image.shape), (32, 16, 16), strict=True) for x in (0, -size % p)]
    return F.pad(image, pad), F.pad(labels, pad)


def norm(w, name, x, eps):
    mean, var = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
    return (x - mean) / (var + eps).sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]


def linear(w, name, x):
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def attend(q, k, v, heads):
    """q (m, c), k and v (n, c)."""
    out = []
    for part in range(heads):
        at = slice(part * q.shape[1] // heads, (part + 1) * q.shape[1] // heads)
        weights = (q[:, at] @ k[:, at].T / (q.shape[1] / heads) ** 0.5).softmax(-1)
        out.append(weights @ v[:, at])
    return torch.cat(out, 1)


def levels(w, image):
    """Tokens after blocks 3, 6 and 9 and after the last norm, each (L, c)."""
    kernel = w["visual_encoder.patch_embedding.patch_embeddings.weight"]
    width = kernel.shape[0]
    d, h, wd = (n // p for n, p in zip(image.shape, (16, 16, 32), strict=True))
    patches = image.reshape(d, 16, h, 16, wd, 32).permute(0, 2, 4, 1, 3, 5).reshape(d * h * wd, -1)
    x = patches @ kernel.reshape(width, -1).T + w["visual_encoder.patch_embedding.patch_embeddings.bias"]
    place = w["visual_encoder.patch_embedding.position_embeddings"][0]
    if (d, h, wd) != (7, 16, 11):
        grid = place.T.reshape(1, width, 7, 16, 11)
        place = F.interpolate(grid, size=(d, h, wd), mode="trilinear", align_corners=False)[0].reshape(width, -1).T
    x = x + place
    found = []
    for number in range(12):
        name = f"visual_encoder.blocks.{number}"
        q, k, v = linear(w, f"{name}.attn.qkv", norm(w, f"{name}.norm1", x, 1e-5)).split(width, 1)
        x = x + linear(w, f"{name}.attn.out_proj", attend(q, k, v, width // 64))
        inner = F.gelu(linear(w, f"{name}.mlp.linear1", norm(w, f"{name}.norm2", x, 1e-5)))
        x = x + linear(w, f"{name}.mlp.linear2", inner)
        if number in (3, 6, 9):
            found.append(x)
    return [*found, norm(w, "visual_encoder.norm", x, 1e-5)]


def organ_vectors(w, image, labels, organs):
    """(len(organs), dim) of one window."""
    tokens, rows = levels(w, image), []
    width = tokens[0].shape[1]
    for organ in organs:
        mask = (labels == organ + 1).float()[None, None]
        reached = F.max_pool3d(mask, (16, 16, 32)).flatten() > 0
        kv = torch.cat([level[reached] for level in tokens])
        wq, wk, wv = w["attention.in_proj_weight"].split(width)
        bq, bk, bv = w["attention.in_proj_bias"].split(width)
        pooled = attend(w["query_tokens"][organ][None] @ wq.T + bq, kv @ wk.T + bk, kv @ wv.T + bv, 4)
        rows.append(linear(w, f"vision_projs.{organ}", linear(w, "attention.out_proj", pooled))[0])
    rows = torch.stack(rows)
    return rows / rows.norm(dim=1, keepdim=True)


def text_vector(w, ids):
    """(dim,) of one text's token ids: a BERT after Devlin et al. (2019), without token types."""
    at = "text_encoder.embeddings"
    x = w[f"{at}.word_embeddings.weight"][ids] + w[f"{at}.position_embeddings.weight"][: len(ids)]
    x = norm(w, f"{at}.LayerNorm", x, 1e-12)
    number = 0
    while f"text_encoder.encoder.layer.{number}.output.dense.weight" in w:
        name = f"text_encoder.encoder.layer.{number}"
        q, k, v = (linear(w, f"{name}.attention.self.{p}", x) for p in ("query", "key", "value"))
        mixed = linear(w, f"{name}.attention.output.dense", attend(q, k, v, max(1, x.shape[1] // 64)))
        x = norm(w, f"{name}.attention.output.LayerNorm", x + mixed, 1e-12)
        inner = F.gelu(linear(w, f"{name}.intermediate.dense", x))
        x = norm(w, f"{name}.output.LayerNorm", x + linear(w, f"{name}.output.dense", inner), 1e-12)
        number += 1
    row = linear(w, "text_proj", x[:1])[0]
    return row / row.norm()
