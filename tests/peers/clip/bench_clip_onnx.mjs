// bench_clip_onnx.mjs - CLIP's towers in ONNX Runtime, for tests/bench/bench_clip.c.
//
//     node bench_clip_onnx.mjs FOLDER THREADS
//
// image.onnx, text.onnx, inputs.images and inputs.texts of FOLDER, and the lines that it reads
// and writes, are those of bench_clip.py.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import ort from "onnxruntime-node";

const [folder, threads] = process.argv.slice(2);
const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
const side = config.vision_config.image_size;
const context = config.text_config.max_position_embeddings;

function read(name, Type) {
  const bytes = readFileSync(join(folder, name));
  return new Type(bytes.buffer, bytes.byteOffset, bytes.length / Type.BYTES_PER_ELEMENT);
}
const pixels = read("inputs.images", Float32Array);
const ids = BigInt64Array.from(read("inputs.texts", Int32Array), BigInt);

const input = {
  image: n => new ort.Tensor("float32", pixels.subarray(0, n * 3 * side * side), [n, 3, side, side]),
  text: n => new ort.Tensor("int64", ids.subarray(0, n * context), [n, context]),
};
const sessions = {};
for (const kind of ["image", "text"])
  sessions[kind] = await ort.InferenceSession.create(join(folder, `${kind}.onnx`), {
    executionProviders: ["cpu"],
    intraOpNumThreads: Number(threads),
    interOpNumThreads: 1,
    graphOptimizationLevel: "all",
  });
function seconds() {
  if (threads !== "1") return Number(process.hrtime.bigint()) / 1e9;
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const [kind, n, runs, path] = line.split(" ");
  const feeds = { input: input[kind](Number(n)) };
  let best = Infinity, out;
  for (let i = 0; i < Number(runs); i++) {
    const began = seconds();
    out = (await sessions[kind].run(feeds)).output;
    best = Math.min(best, seconds() - began);
  }
  writeFileSync(path, Buffer.from(out.data.buffer, out.data.byteOffset, out.data.byteLength));
  console.log(best.toFixed(6));
}
