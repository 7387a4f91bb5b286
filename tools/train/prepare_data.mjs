#!/usr/bin/env node
// The pictures and words that the embedded model is trained on, from packages of the npm registry.
//
// usage: node prepare_data.mjs [OUT_DIR]      (default: build/emoji/data under the repository)
//
// OUT_DIR/pictures.bin   256 x 256 WebP pictures on white, concatenated
// OUT_DIR/pictures.json  one record for each picture: style, name, label, tags, group, offset, length
// OUT_DIR/skipped.json   icons that could not be rendered, with the reason
// OUT_DIR/licenses.json  package, version and licence of all sources of the pictures and words
//
// The packages are installed next to OUT_DIR, in a folder that git ignores. Neither they nor the pictures are
// committed. Skin tones are left out. They are one shape in six colours, and would be two thirds of all pictures.

import { execFileSync, fork } from 'node:child_process';
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const out = path.resolve(process.argv[2] ?? path.join(here, '../../build/emoji/data'));
const home = path.dirname(out);

const kStyles = { noto: '@iconify-json/noto', fluent: '@iconify-json/fluent-emoji', flat: '@iconify-json/fluent-emoji-flat' };
const kPackages = { '@iconify-json/noto': '1.2.9', '@iconify-json/fluent-emoji': '1.2.7', '@iconify-json/fluent-emoji-flat': '1.2.6',
  'emojibase-data': '17.0.0', '@resvg/resvg-js': '2.6.2', 'sharp': '0.35.5' };
const kSize = 256;         // pixels of a picture's side
const kOversample = 2;     // rendered larger, then reduced: resvg's antialiasing leaves thin lines between touching shapes

const require = createRequire(path.join(home, 'package.json'));
const read = (pkg, file) => JSON.parse(fs.readFileSync(path.join(home, 'node_modules', pkg, file), 'utf8'));

/** Installs the packages once. */
function install() {
  fs.mkdirSync(home, { recursive: true });
  const manifest = path.join(home, 'package.json');
  if (!fs.existsSync(manifest)) fs.writeFileSync(manifest, '{"private": true}\n');
  const missing = Object.entries(kPackages).filter(([name, version]) => {
    const file = path.join(home, 'node_modules', name, 'package.json');
    return !fs.existsSync(file) || JSON.parse(fs.readFileSync(file, 'utf8')).version !== version;
  });
  if (missing.length) {
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--save-exact', ...missing.map(([n, v]) => `${n}@${v}`)], { cwd: home, stdio: 'inherit' });
  }
}

/** The icons of one style: [name, hexcode], without skin tones and parts of other emoji. */
function chosen(style) {
  const set = read(kStyles[style], 'icons.json');
  const chars = read(kStyles[style === 'fluent' ? 'flat' : style], 'chars.json');   // the same icons; only one set has this list
  const code = new Map();
  for (const [hex, name] of Object.entries(chars)) {
    if (!code.has(name) || hex.length < code.get(name).length) code.set(name, hex);
  }
  const names = Object.keys(set.icons);
  const all = new Set(names);
  const tone = /-(light|medium-light|medium|medium-dark|dark)$/;
  return names.filter((name) => {
    if (/skin-tone|-tone\d/.test(name)) return false;
    if (/^(\d|asterisk|digit-.*|bald|curly-haired|red-haired|white-haired|people-(holding|with).*-(dark|light|medium).*)$/.test(name)) return false;
    if (style === 'noto') return true;
    return !(tone.test(name) && (all.has(name.replace(tone, '')) || all.has('person' + name.slice(name.indexOf('-'))) || /^(man|woman|person|people|skier)/.test(name)));
  }).map((name) => [name, code.get(name) ?? '']);
}

/** Labels and keywords by code points, without variation selectors. */
function words() {
  const plain = (hex) => hex.toUpperCase().split('-').filter((c) => c !== 'FE0F').join('-');
  const map = new Map();
  for (const e of read('emojibase-data', 'en/data.json')) map.set(plain(e.hexcode), e);
  return (hex) => map.get(plain(hex));
}

/** Converts RGBA of `side` pixels to RGB of kSize pixels: the mean of each block. */
function reduced(pixels, side) {
  const data = Buffer.alloc(kSize * kSize * 3);
  const n = kOversample;
  for (let y = 0; y < kSize; ++y) {
    for (let x = 0; x < kSize; ++x) {
      for (let c = 0; c < 3; ++c) {
        let sum = 0;
        for (let v = 0; v < n; ++v) for (let u = 0; u < n; ++u) sum += pixels[((y * n + v) * side + x * n + u) * 4 + c];
        data[(y * kSize + x) * 3 + c] = Math.round(sum / (n * n));
      }
    }
  }
  return data;
}

/** Child process: draws one icon for each message. A panic in the renderer ends this process, not the run. */
async function drawer() {
  const { Resvg } = require('@resvg/resvg-js');
  const sharp = require('sharp');
  const sets = {};
  process.on('message', async ({ id, style, name }) => {
    try {
      const set = (sets[style] ??= read(kStyles[style], 'icons.json'));
      const icon = set.icons[name];
      const [w, h] = [icon.width ?? set.width ?? 16, icon.height ?? set.height ?? 16];
      const whole = Math.max(w, h);      // a few icons are a little taller than wide: centred in a square
      const box = [(icon.left ?? 0) - (whole - w) / 2, (icon.top ?? 0) - (whole - h) / 2, whole, whole].join(' ');
      const svg = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="${box}" width="${whole}" height="${whole}">${icon.body}</svg>`;
      const side = kSize * kOversample;
      const image = new Resvg(svg, { fitTo: { mode: 'width', value: side }, background: '#ffffff' }).render();
      if (image.width !== side || image.height !== side) throw new Error(`${image.width} x ${image.height}, not square`);
      const data = reduced(image.pixels, side);
      let least = 255;
      for (const v of data) least = Math.min(least, v);
      if (least > 240) throw new Error('blank');
      const webp = await sharp(data, { raw: { width: kSize, height: kSize, channels: 3 } }).webp({ nearLossless: true, quality: 60, effort: 1 }).toBuffer();
      process.send({ id, webp: webp.toString('base64') });
    } catch (error) {
      process.send({ id, error: String(error.message ?? error) });
    }
  });
  process.send({ ready: true });
}

/** Draws every job in child processes. If one crashes, only the icon that it was drawing is lost. */
function draw(jobs, width) {
  const results = new Array(jobs.length);
  let next = 0, done = 0;
  return new Promise((resolve) => {
    const start = () => {
      const child = fork(fileURLToPath(import.meta.url), [out], { env: { ...process.env, TEMPERA_DRAWER: '1' } });
      let current = -1;
      const advance = () => {
        if (next < jobs.length) { current = next++; child.send({ id: current, ...jobs[current] }); } else { current = -1; child.disconnect(); }
      };
      const finish = (id, result) => {
        results[id] = result;
        if (++done % 500 === 0) console.log(`${done} of ${jobs.length}`);
        if (done === jobs.length) resolve(results);
      };
      child.on('message', (m) => { if (!m.ready) { current = -1; finish(m.id, m); } advance(); });
      child.on('exit', () => { if (current >= 0) { finish(current, { error: 'the renderer panicked' }); start(); } });
    };
    for (let i = 0; i < width; ++i) start();
  });
}

async function main() {
  install();
  const find = words();
  const jobs = Object.keys(kStyles).flatMap((style) => chosen(style).map(([name, hex]) => ({ style, name, hex })));
  const results = await draw(jobs.map(({ style, name }) => ({ style, name })), 2);
  fs.mkdirSync(out, { recursive: true });
  const file = fs.openSync(path.join(out, 'pictures.bin'), 'w');
  const records = [], skipped = [];
  let offset = 0;
  jobs.forEach(({ style, name, hex }, i) => {
    if (results[i].error) { skipped.push({ style, name, reason: results[i].error.split('\n')[0] }); return; }
    const bytes = Buffer.from(results[i].webp, 'base64');
    fs.writeSync(file, bytes);
    const known = hex ? find(hex) : undefined;
    records.push({ style, name, label: known?.label ?? '', tags: known?.tags ?? [], group: known?.group ?? -1, offset, length: bytes.length });
    offset += bytes.length;
  });
  fs.closeSync(file);
  fs.writeFileSync(path.join(out, 'pictures.json'), JSON.stringify(records));
  fs.writeFileSync(path.join(out, 'skipped.json'), JSON.stringify(skipped, null, 1) + '\n');
  const licenses = Object.keys(kPackages).map((name) => ({ name, version: kPackages[name], license: read(name, 'package.json').license }));
  fs.writeFileSync(path.join(out, 'licenses.json'), JSON.stringify(licenses, null, 1) + '\n');
  const count = (style) => records.filter((r) => r.style === style).length;
  console.log(`${records.length} pictures (${Object.keys(kStyles).map((s) => `${s} ${count(s)}`).join(', ')}), ${skipped.length} skipped, ${(offset / 2 ** 20).toFixed(1)} MiB`);
  console.log(`without a label: ${records.filter((r) => !r.label).length}`);
}

if (process.env.TEMPERA_DRAWER) drawer(); else await main();
