"""bench_clip.py - CLIP's towers in PyTorch, for tests/bench/bench_clip.c.

    bench_clip.py FOLDER THREADS
    bench_clip.py FOLDER THREADS export

FOLDER is a checkpoint in Hugging Face's layout (config.json, model.safetensors in F32) with
inputs.images (float32 [n][3][S][S]) and inputs.texts (int32 [n][77], padded with 0) beside it.

Says "ready", then reads lines "image|text BATCH RUNS FILE": runs the first BATCH inputs RUNS
times, writes the last embeddings (float32) to FILE and prints the seconds of the best run: CPU
time of the process with one thread, else by the clock.
With export it writes image.onnx and text.onnx into FOLDER instead, says "ready" and ends.

As the original computes: queries, keys and values in one product, all positions, 77 of a text.
The one thing that is left out is dropout, which CLIP does not have.
"""
import json
import os
import sys
import time
import warnings

import numpy
import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, width, heads, mlp, eps, activation):
        super().__init__()
        self.heads = heads
        self.activation = activation
        self.ln1 = nn.LayerNorm(width, eps)
        self.ln2 = nn.LayerNorm(width, eps)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.fc1 = nn.Linear(width, mlp)
        self.fc2 = nn.Linear(mlp, width)

    def forward(self, x, mask):
        n, t, width = x.shape
        d = width // self.heads
        qkv = self.qkv(self.ln1(x)).reshape(n, t, 3, self.heads, d).permute(2, 0, 3, 1, 4)
        scores = (qkv[0] * d ** -0.5) @ qkv[1].transpose(-1, -2)
        if mask is not None:
            scores = scores + mask
        heads = torch.softmax(scores, -1) @ qkv[2]
        x = x + self.out(heads.transpose(1, 2).reshape(n, t, width))
        h = self.fc1(self.ln2(x))
        h = h * torch.sigmoid(1.702 * h) if self.activation == "quick_gelu" else functional.gelu(h)
        return x + self.fc2(h)


def blocks(config):
    return nn.ModuleList(
        Block(config["hidden_size"], config["num_attention_heads"], config["intermediate_size"],
              config["layer_norm_eps"], config["hidden_act"])
        for _ in range(config["num_hidden_layers"]))


class ImageTower(nn.Module):
    def __init__(self, config, projection):
        super().__init__()
        width, patch = config["hidden_size"], config["patch_size"]
        self.conv = nn.Conv2d(3, width, patch, patch, bias=False)
        self.token = nn.Parameter(torch.empty(width))
        positions = (config["image_size"] // patch) ** 2 + 1
        self.positions = nn.Parameter(torch.empty(positions, width))
        self.pre = nn.LayerNorm(width, config["layer_norm_eps"])
        self.blocks = blocks(config)
        self.post = nn.LayerNorm(width, config["layer_norm_eps"])
        self.project = nn.Linear(width, projection, bias=False)

    def forward(self, pixels):
        x = self.conv(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], 1, -1), x], 1) + self.positions
        x = self.pre(x)
        for block in self.blocks:
            x = block(x, None)
        return self.project(self.post(x[:, 0]))


class TextTower(nn.Module):
    def __init__(self, config, projection):
        super().__init__()
        width, context = config["hidden_size"], config["max_position_embeddings"]
        self.tokens = nn.Embedding(config["vocab_size"], width)
        self.positions = nn.Parameter(torch.empty(context, width))
        self.blocks = blocks(config)
        self.final = nn.LayerNorm(width, config["layer_norm_eps"])
        self.project = nn.Linear(width, projection, bias=False)
        self.register_buffer("mask", torch.full((context, context), -torch.inf).triu(1))

    def forward(self, ids):
        x = self.tokens(ids) + self.positions
        for block in self.blocks:
            x = block(x, self.mask)
        x = self.final(x)
        return self.project(x[torch.arange(x.shape[0]), ids.argmax(-1)])


def read_safetensors(path):
    with open(path, "rb") as file:
        n = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(n))
    data = numpy.memmap(path, dtype=numpy.uint8, mode="r", offset=8 + n)
    out = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            array = numpy.array(data[begin:end]).view(numpy.float32)
            out[name] = torch.from_numpy(array.reshape(entry["shape"]))
    return out


def fill(tower, weights, model, names):
    state = {ours: weights[theirs] for ours, theirs in names.items()}
    for i in range(len(tower.blocks)):
        block, layer = f"blocks.{i}.", f"{model}.encoder.layers.{i}."
        for part in ("weight", "bias"):
            state[block + "ln1." + part] = weights[layer + "layer_norm1." + part]
            state[block + "ln2." + part] = weights[layer + "layer_norm2." + part]
            state[block + "out." + part] = weights[layer + "self_attn.out_proj." + part]
            state[block + "fc1." + part] = weights[layer + "mlp.fc1." + part]
            state[block + "fc2." + part] = weights[layer + "mlp.fc2." + part]
            state[block + "qkv." + part] = torch.cat(
                [weights[layer + f"self_attn.{p}_proj." + part] for p in "qkv"])
    if "mask" in tower.state_dict():
        state["mask"] = tower.mask
    tower.load_state_dict(state)
    return tower.eval()


def load(folder):
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    weights = read_safetensors(os.path.join(folder, "model.safetensors"))
    projection = config["projection_dim"]
    v, t = "vision_model", "text_model"
    image = fill(ImageTower(config["vision_config"], projection), weights, v, {
        "conv.weight": v + ".embeddings.patch_embedding.weight",
        "token": v + ".embeddings.class_embedding",
        "positions": v + ".embeddings.position_embedding.weight",
        "pre.weight": v + ".pre_layrnorm.weight",
        "pre.bias": v + ".pre_layrnorm.bias",
        "post.weight": v + ".post_layernorm.weight",
        "post.bias": v + ".post_layernorm.bias",
        "project.weight": "visual_projection.weight"})
    text = fill(TextTower(config["text_config"], projection), weights, t, {
        "tokens.weight": t + ".embeddings.token_embedding.weight",
        "positions": t + ".embeddings.position_embedding.weight",
        "final.weight": t + ".final_layer_norm.weight",
        "final.bias": t + ".final_layer_norm.bias",
        "project.weight": "text_projection.weight"})
    side = config["vision_config"]["image_size"]
    pixels = numpy.fromfile(os.path.join(folder, "inputs.images"), dtype=numpy.float32)
    ids = numpy.fromfile(os.path.join(folder, "inputs.texts"), dtype=numpy.int32)
    context = config["text_config"]["max_position_embeddings"]
    return {"image": (image, torch.from_numpy(pixels.reshape(-1, 3, side, side))),
            "text": (text, torch.from_numpy(ids.astype(numpy.int64).reshape(-1, context)))}


def export(folder, towers):
    warnings.simplefilter("ignore")  # of negative indices, which there are none of
    for kind, (tower, inputs) in towers.items():
        torch.onnx.export(
            tower, inputs[:2], os.path.join(folder, kind + ".onnx"), opset_version=17,
            input_names=["input"], output_names=["output"],
            dynamic_axes={"input": {0: "n"}, "output": {0: "n"}})


def serve(towers, clock):
    print("ready", flush=True)
    for line in sys.stdin:
        kind, batch, runs, path = line.split()
        tower, inputs = towers[kind]
        inputs = inputs[:int(batch)]
        best = None
        for _ in range(int(runs)):
            began = clock()
            out = tower(inputs)
            seconds = clock() - began
            best = seconds if best is None else min(best, seconds)
        out.numpy().tofile(path)
        print(f"{best:.6f}", flush=True)


def main():
    folder, threads = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    towers = load(folder)
    if sys.argv[3:] == ["export"]:
        export(folder, towers)
        print("ready", flush=True)
    else:
        serve(towers, time.process_time if threads == 1 else time.perf_counter)


main()
