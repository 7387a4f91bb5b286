#!/usr/bin/env node
// Draws the 64 prompts of grid.txt with tempera and the embedded model, as one sheet: docs/pictures/grid.png.
//
// usage: node draw_grid.mjs [TEMPERA [OUT.png]]      (default: build/release/bin/tempera docs/pictures/grid.png)

import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url)), root = path.join(here, '../..');
const tempera = process.argv[2] ?? path.join(root, 'build/release/bin/tempera');
const out = process.argv[3] ?? path.join(root, 'docs/pictures/grid.png');
const sharp = createRequire(path.join(root, 'build/emoji/package.json'))('sharp');     // installed by prepare_data.mjs

const kCell = 112, kColumns = 8;
const prompts = fs.readFileSync(path.join(here, 'grid.txt'), 'utf8').trim().split('\n');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'grid-'));
const cells = [];
for (const [i, prompt] of prompts.entries()) {
  const file = path.join(folder, `${i}.png`);
  execFileSync(tempera, ['generate', prompt, '--seed', '1', '--output', file]);
  const input = await sharp(file).resize(kCell, kCell).png().toBuffer();
  cells.push({ input, left: (i % kColumns) * kCell, top: Math.floor(i / kColumns) * kCell });
}
fs.rmSync(folder, { recursive: true });
const create = { width: kColumns * kCell, height: Math.ceil(cells.length / kColumns) * kCell, channels: 3, background: '#ffffff' };
await sharp({ create }).composite(cells).removeAlpha().png({ compressionLevel: 9, adaptiveFiltering: true }).toFile(out);
