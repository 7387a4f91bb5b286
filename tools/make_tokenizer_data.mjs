// Makes tests/data/text: two small tokenizers like CLIP's, one in each layout, and the ids that the `tokenizers` library
// gives for some texts. Run from the repository root, with a folder DIR outside of it:
//   npm install --prefix DIR tokenizers@0.23.2 && NODE_PATH=DIR/node_modules node tools/make_tokenizer_data.mjs
import fs from 'node:fs';
import { createRequire } from 'node:module';
import process from 'node:process';

const { Tokenizer } = createRequire(process.cwd() + '/')('tokenizers');
const OUT = 'tests/data/text';
const MAX_LENGTH = 32;
const BOS = '<|startoftext|>';
const EOS = '<|endoftext|>';

const CORPUS = `a photo of an astronaut riding a horse on mars, a portrait of a young woman with red hair and freckles,
oil painting of a quiet harbour at dawn, misty mountains and a river in the valley, ultra detailed, best quality, 8k,
a cat sitting on a wooden table beside a window, soft light, a dog running through the snow, the old man and the sea,
watercolour sketch of a street in the rain with umbrellas, don't look down, it's a city of glass, they're dancing,
an isometric drawing of a tiny house with a garden, high contrast black and white photograph, a bowl of fruit,
masterpiece, sharp focus, depth of field, golden hour, a castle on a hill under a starry sky, naïve café ☕ ß`;

// GPT-2's printable characters for the 256 bytes, in the order of CLIP's vocabulary: printable bytes first.
function byteCharacters() {
  const printable = [];
  for (let b = 0; b < 256; ++b) if ((b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae) printable.push(b);
  const table = new Array(256);
  printable.forEach((b) => { table[b] = String.fromCodePoint(b); });
  const order = [...printable];
  let next = 0x100;
  for (let b = 0; b < 256; ++b) if (table[b] === undefined) { table[b] = String.fromCodePoint(next++); order.push(b); }
  return { table, order };
}

// Plain byte-pair training: merges the most frequent pair of neighbours, of equal ones the first in the alphabet.
function train(text, table, count) {
  const words = new Map();
  for (const word of text.toLowerCase().match(/\p{L}+|\p{N}|[^\s\p{L}\p{N}]+/gu)) {
    const symbols = Array.from(Buffer.from(word, 'utf8'), (b) => table[b]);
    symbols[symbols.length - 1] += '</w>';
    const key = symbols.join(' ');
    words.set(key, (words.get(key) ?? 0) + 1);
  }
  let entries = [...words].map(([key, n]) => [key.split(' '), n]);
  const merges = [];
  while (merges.length < count) {
    const pairs = new Map();
    for (const [symbols, n] of entries) {
      for (let i = 0; i + 1 < symbols.length; ++i) {
        const key = symbols[i] + ' ' + symbols[i + 1];
        pairs.set(key, (pairs.get(key) ?? 0) + n);
      }
    }
    if (pairs.size === 0) break;
    const [best] = [...pairs].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))[0];
    const [left, right] = best.split(' ');
    merges.push([left, right]);
    entries = entries.map(([symbols, n]) => {
      const joined = [];
      for (let i = 0; i < symbols.length; ++i) {
        if (symbols[i] === left && symbols[i + 1] === right) joined.push(left + symbols[++i]);
        else joined.push(symbols[i]);
      }
      return [joined, n];
    });
  }
  return merges;
}

function tokenizerJson(vocab, merges, added) {
  const special = '<\\|startoftext\\|>|<\\|endoftext\\|>';
  const regex = special + "|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";
  return {
    version: '1.0', truncation: null, padding: null, added_tokens: added,
    normalizer: { type: 'Sequence', normalizers: [
      { type: 'NFC' }, { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' }, { type: 'Lowercase' }] },
    pre_tokenizer: { type: 'Sequence', pretokenizers: [
      { type: 'Split', pattern: { Regex: regex }, behavior: 'Removed', invert: true },
      { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }] },
    post_processor: { type: 'RobertaProcessing', sep: [EOS, vocab[EOS]], cls: [BOS, vocab[BOS]], trim_offsets: false,
      add_prefix_space: false },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: 'BPE', dropout: null, unk_token: EOS, continuing_subword_prefix: '', end_of_word_suffix: '</w>',
      fuse_unk: false, byte_fallback: false, ignore_merges: false, vocab, merges },
  };
}

const addedToken = (id, content, flags = {}) => ({
  id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true, ...flags });

async function encodeAll(json, texts, pad) {
  const tokenizer = Tokenizer.fromString(JSON.stringify(json));
  const rows = [];
  for (const text of texts) {
    const all = Array.from((await tokenizer.encode(text)).getIds());
    const kept = all.length > MAX_LENGTH ? [...all.slice(0, MAX_LENGTH - 1), all.at(-1)] : all;
    const removed = all.length > MAX_LENGTH ? all.slice(MAX_LENGTH - 1, -1) : [];
    const truncated = (await tokenizer.decode(removed, false)).replaceAll('</w>', ' ').trimEnd();
    rows.push({ text, ids: [...kept, ...new Array(MAX_LENGTH - kept.length).fill(pad)], tokens: kept.length, truncated });
  }
  return rows;
}

const TEXTS = [
  '', ' ', 'a photo of an astronaut riding a horse on mars', '  Hello,   WORLD!!  it\'s they\'re we\'ll 123 4567 ',
  'naïve café ☕ 日本語 😀👍🏽', 'nai\u0308ve cafe\u0301 A\u030a ΑΣ İstanbul ǅ ﬁ ẞ', 'DON\'T Rock\'n\'Roll \'\'s \'d \'D \'tis',
  `${BOS} inside ${EOS} tail ${EOS}${EOS}!`, '<|STARTOFTEXT|>!! <|EndOfText|>\'s x', 'tab\tnew\nline\u00a0nbsp\u2003em\u0085nel\u200bzero',
  '!!! a! !b \'!\'', 'CAT-TOY a <cat-toy> <Cat-Toy>s x<cat-toy> sky SKY skyline the sky!', 'Ⅷ ½ ٣ x2 3.14159 a_b \u0000 \u001c',
  'a castle on a hill under a starry sky, golden hour, misty mountains and a river in the valley, masterpiece ☕ best',
  'supercalifragilisticexpialidocious '.repeat(4),
];

const { table, order } = byteCharacters();
const merges = train(CORPUS, table, 300);
const vocab = {};
for (const end of ['', '</w>']) for (const b of order) vocab[table[b] + end] = Object.keys(vocab).length;
for (const [left, right] of merges) vocab[left + right] = Object.keys(vocab).length;
for (const token of [BOS, EOS]) vocab[token] = Object.keys(vocab).length;
const size = Object.keys(vocab).length;

// One folder has the form of the SDXL repository, which searches BOS and EOS in normalised text. The other has that of
// transformers 5, with "!" for padding and two more tokens.
const write = (path, value) => fs.writeFileSync(`${OUT}/${path}`, typeof value === 'string' ? value : JSON.stringify(value, null, 1) + '\n');
for (const folder of ['two_files', 'one_file']) fs.mkdirSync(`${OUT}/${folder}`, { recursive: true });
const normalised = (content) => ({ __type: 'AddedToken', content, lstrip: false, normalized: true, rstrip: false, single_word: false });
write('two_files/vocab.json', JSON.stringify(vocab));
write('two_files/merges.txt', ['#version: 0.2', ...merges.map((m) => m.join(' ')), ''].join('\n'));
write('two_files/tokenizer_config.json', { bos_token: normalised(BOS), eos_token: normalised(EOS), unk_token: normalised(EOS),
  pad_token: EOS, do_lower_case: true, model_max_length: MAX_LENGTH, tokenizer_class: 'CLIPTokenizer' });
const mapped = (content) => { const { __type, ...rest } = normalised(content); return rest; };
write('two_files/special_tokens_map.json', { bos_token: mapped(BOS), eos_token: mapped(EOS), unk_token: mapped(EOS), pad_token: EOS });
const added = [addedToken(0, '!'), addedToken(vocab[BOS], BOS), addedToken(vocab[EOS], EOS),
  addedToken(size, '<cat-toy>', { normalized: true, special: false }), addedToken(size + 1, 'Sky', { normalized: true, single_word: true, special: false })];
const oneFile = tokenizerJson(vocab, merges, added);
write('one_file/tokenizer.json', JSON.stringify(oneFile));
write('one_file/tokenizer_config.json', { bos_token: BOS, eos_token: EOS, unk_token: EOS, pad_token: '!', model_max_length: MAX_LENGTH });

const twoFilesAdded = [BOS, EOS].map((t) => addedToken(vocab[t], t, { normalized: true }));
write('expected.json', {
  two_files: await encodeAll(tokenizerJson(vocab, merges, twoFilesAdded), TEXTS, vocab[EOS]),
  one_file: await encodeAll(oneFile, TEXTS, 0),
});
