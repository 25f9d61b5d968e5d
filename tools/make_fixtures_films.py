"""Writes the fixtures of `moga evaluate films`: tiny models with random weights, and what transformers, torchvision and
VBench's formulas compute with them in float32.

    tests/model/fixtures/films/models        the folders that --models names, in the forms of their publishers
    tests/model/fixtures/films/films.safetensors   frames; pixels as VBench prepares them; features; numbers
    tests/model/fixtures/films/tokens.json   texts and their ids by CLIPTokenizer

VBench's numbers are its definitions (vbench/subject_consistency.py, background_consistency.py, aesthetic_quality.py)
written again. Made with torch==2.11.0 torchvision==0.26.0 transformers==5.24 pillow==12.1.1. Run from the
repository root:

    python tools/make_fixtures_films.py
"""

import collections
import json
import math
import random
import shutil
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision.transforms import CenterCrop, InterpolationMode, Normalize, Resize
from transformers import (
    CLIPConfig, CLIPModel, CLIPTokenizer, Dinov2Config, Dinov2Model, ViTConfig, ViTModel,
)  # fmt: skip
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil

FOLDER = Path(__file__).resolve().parent.parent / "tests/model/fixtures/films"
SIDE, PATCH = 32, 8
TINY = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2)
WORDS = (
    "a the red blue hat shirt Mara waves walks on in beach lake park night wide shot close up camera pans girl boy "
    "stands smiles turns the of and with it's don't they're i'm we've she'll he'd"
).split()


def randomise(model, deviation=0.2):
    """Away from the initial values, so that no norm, bias, scale or position is trivially right."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            one = ("norm" in name and name.endswith("weight")) or "lambda" in name
            parameter.copy_(torch.randn_like(parameter) * deviation + (1.0 if one else 0.0))
    return model.eval()


def byte_characters():
    """CLIP's characters for bytes: printable ones stand for themselves."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def make_tokenizer(folder, merges=160):
    """Byte pairs of WORDS, with the vocabulary in CLIP's order: bytes, bytes that end a word, merges, two tokens."""
    characters = byte_characters()
    words = collections.Counter()
    for i, word in enumerate(WORDS):
        spelled = [characters[byte] for byte in word.lower().encode()]
        words[tuple(spelled[:-1] + [spelled[-1] + "</w>"])] += 40 - i % 40
    vocabulary = characters + [character + "</w>" for character in characters]
    ranks = []
    for _ in range(merges):
        pairs = collections.Counter()
        for word, count in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        if not pairs:
            break
        best = max(sorted(pairs), key=pairs.get)
        ranks.append(best)
        vocabulary.append("".join(best))
        merged = collections.Counter()
        for word, count in words.items():
            out, i = [], 0
            while i < len(word):
                if word[i : i + 2] == best:
                    out.append("".join(best))
                    i += 2
                else:
                    out.append(word[i])
                    i += 1
            merged[tuple(out)] += count
        words = merged
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({piece: i for i, piece in enumerate(vocabulary)}, ensure_ascii=False)
    (folder / "vocab.json").write_text(text)
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in ranks))
    return len(vocabulary)


ODD = [
    "", " ", "a", "Mara waves at the lake.", "  two   spaces\tand\n\nlines  ", "IT'S don't THEY'RE we've I'M she'll he'd 'sun ''s 't",
    "1234 12.5 ½ ² Ⅷ ٣", "?!...;:-_()[]{}<>|/\\@#$%^*+=~`", "<|startoftext|> <|endoftext|> x<|endoftext|>y", "<|EndOfText|> <|endoftext",
    "İstanbul ıŞIK ΣΑΣ ǅ ß ẞ ﬃ", "cafe\u0301 A\u030angstro\u0308m q\u0307\u0323 x\u11a7y", "東京の夜、カメラがパンする。", "한국어 \u1112\u1161\u11ab 각\u11a8", "लाल टोपी পরা ผู้หญิง",
    "فتاة ١٢٣ ילדה", "🎩👋🏽 👨‍👩‍👧 🇯🇵", "\u200bzero\u200dwidth\ufeff \u00a0\u2003\u3000wide \u0085next", "１２３ ＡＢＣ", "Vi\u00eat Nam đội mũ đỏ", "x" * 200, "a b " * 100,
    "\u00ad\u0301alone \u20ac \u00b5 ªº", "tab\tbell\u0007nul\u0001", "it''s ’s ‘t “quoted” …", "ᏸ Ⴀ ꭰ ꟊ Ɥ", "\U0001d400\U0001d7d8 \U0002f800 \ufb1d", "don't don ' t don'\u0301t",
]  # fmt: skip


def texts():
    generator = random.Random(5)
    alphabets = [
        "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789 .,;:!?'\"-", "éèüñçßÀÖŁğİıŠžœ", "абвгдЖЗИЯ αβγΔΣς",
        "日本語東京カナ한국어", "'s't're've'm'll'd", "\u0300\u0301\u0308\u0327\u093c\u3099aeoｶ", "<|>textofstar", " \t\n\u00a0\u2009\u3000", "🎩🌊👋🏽½²Ⅷ١٢",
    ]  # fmt: skip
    result = list(ODD)
    for _ in range(280):
        picked = [generator.choice(alphabets) for _ in range(generator.randint(1, 3))]
        text = "".join(generator.choice(generator.choice(picked)) for _ in range(generator.randint(1, 30)))
        result.append(text if generator.random() < 0.6 else text + " " + " ".join(generator.choices(WORDS, k=4)))
    return result


def picture(height, width, seed):
    generator = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width]
    waves = [numpy.sin(x / (3 + i + seed)) * numpy.cos(y / (4 + 2 * i)) * 90 + 128 for i in range(3)]
    image = numpy.stack(waves, -1) + generator.normal(0, 20, (height, width, 3))
    image[height // 3 : height // 2, width // 4 : width // 2] = (255, 0, 40 * seed)
    return image.clip(0, 255).astype(numpy.uint8)


def dino_positions(model, height, width):
    """DINO's own interpolation, which VBench's model has: by factors with 0.1 added."""
    positions = model.embeddings.position_embeddings
    side = int(math.sqrt(positions.shape[1] - 1))
    rows, columns = height // PATCH, width // PATCH
    grid = positions[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, scale_factor=((rows + 0.1) / side, (columns + 0.1) / side), mode="bicubic")
    assert grid.shape[-2:] == (rows, columns)
    return torch.cat((positions[:, :1], grid.permute(0, 2, 3, 1).reshape(1, rows * columns, -1)), 1)


def dino_features(model, pixels):
    original = type(model.embeddings).interpolate_pos_encoding
    type(model.embeddings).interpolate_pos_encoding = lambda own, _, height, width: dino_positions(model, height, width)
    try:
        return model(pixels, interpolate_pos_encoding=True).last_hidden_state[:, 0]
    finally:
        type(model.embeddings).interpolate_pos_encoding = original


def clip_model(vocabulary, text, vision, projection):
    config = CLIPConfig(
        text_config=TINY | dict(intermediate_size=24, vocab_size=vocabulary, bos_token_id=vocabulary - 2,
                                eos_token_id=vocabulary - 1, pad_token_id=1) | text,
        vision_config=TINY | dict(intermediate_size=32, image_size=SIDE, patch_size=PATCH) | vision,
        projection_dim=projection,
    )  # fmt: skip
    return randomise(CLIPModel(config))


def tensor_of(output):
    return output if isinstance(output, torch.Tensor) else output.pooler_output


def consistency(features):
    """VBench's subject and background consistency of one film."""
    features = F.normalize(features, dim=-1, p=2)
    total = 0.0
    for i in range(1, len(features)):
        before = max(0.0, F.cosine_similarity(features[i - 1 : i], features[i : i + 1]).item())
        first = max(0.0, F.cosine_similarity(features[:1], features[i : i + 1]).item())
        total += (before + first) / 2
    return total / (len(features) - 1)


def main():
    torch.manual_seed(20261130)
    shutil.rmtree(FOLDER, ignore_errors=True)
    models = FOLDER / "models"
    vocabulary = make_tokenizer(models / "clip-vit-base-patch32")
    clip = clip_model(vocabulary, {}, {}, 12)
    large = clip_model(vocabulary, {}, dict(hidden_size=24, num_attention_heads=3), 20)
    dino = randomise(ViTModel(ViTConfig(**TINY, intermediate_size=32, image_size=SIDE, patch_size=PATCH)))
    dinov2 = randomise(Dinov2Model(Dinov2Config(**TINY, image_size=SIDE, patch_size=PATCH)))
    head = torch.nn.Linear(20, 1)
    for name, model in (("clip-vit-base-patch32", clip), ("clip-vit-large-patch14", large), ("dino-vitb16", dino),
                        ("dinov2-base", dinov2)):  # fmt: skip
        model.save_pretrained(models / name)
    processor = BitImageProcessorPil(
        size={"shortest_edge": 28}, crop_size={"height": 24, "width": 24}, resample=3,
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])  # fmt: skip
    processor.save_pretrained(models / "dinov2-base")
    save_file(head.state_dict(), models / "sa_0_4_vit_l_14_linear.safetensors")

    pictures = [picture(40, 67, seed) for seed in range(4)]
    frames = torch.from_numpy(numpy.stack(pictures)).permute(0, 3, 1, 2).contiguous()
    clip_norm = Normalize((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
    dino_norm = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    resized = Resize(SIDE, interpolation=InterpolationMode.BICUBIC, antialias=False)(frames.float())
    clip_pixels = clip_norm(CenterCrop(SIDE)(resized).div(255.0))
    dino_pixels = dino_norm(Resize(size=SIDE, antialias=False)(frames.float()).div(255.0))
    dinov2_pixels = processor([Image.fromarray(one) for one in pictures], return_tensors="pt")["pixel_values"]
    native = torch.randn(2, 3, SIDE, SIDE)
    tensors = {"frames": frames, "clip.pixels": clip_pixels, "dino.pixels": dino_pixels,
               "dinov2.pixels": dinov2_pixels, "native.pixels": native}  # fmt: skip

    tokenizer = CLIPTokenizer.from_pretrained(models / "clip-vit-base-patch32")
    captions = ["Mara waves at the lake.", "a wide shot, the camera pans", "it's night", "red hat " * 60]
    with torch.no_grad():
        tensors["clip.features"] = tensor_of(clip.get_image_features(pixel_values=clip_pixels))
        tensors["clip_large.features"] = tensor_of(large.get_image_features(pixel_values=clip_pixels))
        tensors["dino.features"] = dino_features(dino, dino_pixels)
        tensors["dino.native"] = dino(native).last_hidden_state[:, 0]
        tensors["dinov2.features"] = dinov2(dinov2_pixels).last_hidden_state[:, 0]
        tensors["dinov2.native"] = dinov2(native).last_hidden_state[:, 0]
        rows = []
        for caption in captions:
            ids = tokenizer(caption, truncation=True, max_length=77, return_tensors="pt")["input_ids"]
            rows.append(tensor_of(clip.get_text_features(input_ids=ids))[0])
        tensors["clip.texts"] = torch.stack(rows)
        unit = F.normalize(tensors["clip_large.features"], dim=-1, p=2)
        aesthetic = head(unit).squeeze(-1) / 10
    tensors["aesthetic"] = aesthetic.clone()
    film = torch.randn(24, 16) + 0.7  # features of a film, some of them opposed
    tensors["measure.features"] = film
    numbers = {
        "captions": captions,
        "consistency": consistency(film),
        "subject": consistency(tensors["dino.features"]),
        "background": consistency(tensors["clip.features"]),
        "aesthetic": aesthetic.mean().item(),
    }
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, FOLDER / "films.safetensors",
              metadata={"numbers": json.dumps(numbers)})  # fmt: skip
    cases = [[text, tokenizer(text)["input_ids"]] for text in texts()]
    (FOLDER / "tokens.json").write_text(json.dumps({"cases": cases}) + "\n")
    print(numbers, {name: load_file(path / "model.safetensors").__len__() for name, path in
                    ((one.name, one) for one in models.iterdir() if one.is_dir())})  # fmt: skip


if __name__ == "__main__":
    main()
