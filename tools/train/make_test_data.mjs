#!/usr/bin/env node
// Makes test data from the training pictures of the embedded model: small ones of all glyphs, a few of full size.
//
// usage: node make_test_data.mjs [DATA_DIR]      (default: build/emoji/data, written by prepare_data.mjs)
//
// tests/data/emoji/glyphs.png   tiles of 16 x 16, each the means of a picture's 16 x 16 blocks, kColumns in a row
// tests/data/emoji/glyphs.json  style and name of every tile, in order; the name is its prompt
// tests/data/emoji/whole.png    pictures of 256 x 256 in a row, to measure the autoencoders
// DATA_DIR/pictures.rgb         all pictures as 256 x 256 RGB, to measure them with all (960 MB, not committed)

import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '../..');
const data = path.resolve(process.argv[2] ?? path.join(root, 'build/emoji/data'));
const out = path.join(root, 'tests/data/emoji');
const sharp = createRequire(path.join(path.dirname(data), 'package.json'))('sharp');

const kSide = 256, kTile = 16, kColumns = 64;
// All pictures of noto, the style of a prompt without a style word. Of the other styles, those in the tests of style
// words.
const kInEveryStyle = ['cat', 'dog', 'red-apple', 'rocket', 'castle', 'guitar', 'bicycle', 'crown'];
const kWhole = ['cat', 'castle'].flatMap((name) => [['noto', name], ['flat', name]]);

const records = JSON.parse(fs.readFileSync(path.join(data, 'pictures.json'), 'utf8'));
const packed = fs.readFileSync(path.join(data, 'pictures.bin'));
const rgb = (r) => sharp(packed.subarray(r.offset, r.offset + r.length)).removeAlpha().raw().toBuffer();

/** Writes tiles of `side` pixels (RGB buffers), `columns` in a row, on white. */
async function writeSheet(tiles, side, columns, file) {
  const rows = Math.ceil(tiles.length / columns);
  const sheet = Buffer.alloc(rows * side * columns * side * 3, 255);
  tiles.forEach((tile, i) => {
    const left = (i % columns) * side, top = Math.floor(i / columns) * side;
    for (let y = 0; y < side; ++y) tile.copy(sheet, ((top + y) * columns * side + left) * 3, y * side * 3, (y + 1) * side * 3);
  });
  const raw = { width: columns * side, height: rows * side, channels: 3 };
  await sharp(sheet, { raw }).png({ compressionLevel: 9, adaptiveFiltering: true }).toFile(file);
}

/** The mean of every block, rounded. */
function reduced(pixels) {
  const n = kSide / kTile;
  const sums = new Float64Array(kTile * kTile * 3);
  for (let y = 0; y < kSide; ++y) {
    for (let x = 0; x < kSide; ++x) {
      const to = (Math.floor(y / n) * kTile + Math.floor(x / n)) * 3, from = (y * kSide + x) * 3;
      for (let c = 0; c < 3; ++c) sums[to + c] += pixels[from + c];
    }
  }
  return Buffer.from(sums.map((s) => Math.round(s / (n * n))));
}

const glyphs = [], tiles = [], whole = new Array(kWhole.length);
fs.mkdirSync(out, { recursive: true });
const all = fs.openSync(path.join(data, 'pictures.rgb'), 'w');
for (const r of records) {
  const pixels = await rgb(r);
  fs.writeSync(all, pixels);
  if (r.style === 'noto' || kInEveryStyle.includes(r.name)) {
    glyphs.push([r.style, r.name.replace(/[^a-z0-9]+/gi, ' ').trim().toLowerCase()]);
    tiles.push(reduced(pixels));
  }
  kWhole.forEach(([style, name], i) => { if (r.style === style && r.name === name) whole[i] = pixels; });
}
fs.closeSync(all);
await writeSheet(tiles, kTile, kColumns, path.join(out, 'glyphs.png'));
await writeSheet(whole, kSide, whole.length, path.join(out, 'whole.png'));
const text = JSON.stringify({ tile: kTile, columns: kColumns, glyphs }).replaceAll('],[', '],\n[').replace('[[', '[\n[');
fs.writeFileSync(path.join(out, 'glyphs.json'), text + '\n');
console.log(`${tiles.length} tiles, ${whole.length} whole pictures`);
