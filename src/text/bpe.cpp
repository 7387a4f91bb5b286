#include "text/bpe.h"

#include <algorithm>
#include <bit>
#include <queue>
#include <unordered_map>

#include "base/error.h"
#include "base/utf8.h"

namespace tempera {
namespace {
constexpr std::string_view kWordEnd = "</w>";

// GPT-2's alphabet: printable Latin-1 bytes are their own characters, the other 68 bytes are U+0100 and following, in
// order. All of these code points have one or two bytes in UTF-8.
struct Alphabet {
  Alphabet() {
    int next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      const int code = printable ? byte : next++;
      std::string& spelling = spellings[byte];
      if (code < 0x80) {
        spelling = static_cast<char>(code);
      } else {
        spelling = {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
      }
      bytes.emplace(spelling, static_cast<char>(byte));
    }
  }
  std::array<std::string, 256> spellings;
  std::unordered_map<std::string_view, char> bytes;
};

const Alphabet& alphabet() {
  static const Alphabet kAlphabet;
  return kAlphabet;
}

size_t hash_token(std::string_view token) {
  return std::hash<std::string_view>()(token);
}

size_t hash_pair(int32_t left, int32_t right) {
  // Fibonacci hashing; its good bits are the high ones.
  const uint64_t key = (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
  return static_cast<size_t>((key * 0x9E3779B97F4A7C15U) >> 32);
}

// A token as it may appear in a message.
std::string shown(std::string_view token) {
  return valid_utf8(token.substr(0, 100));
}

// Appends the bytes of a token's characters. A token with any other character is appended unchanged.
void append_bytes(std::string_view token, std::string& text) {
  std::string bytes;
  for (size_t at = 0; at < token.size();) {
    const size_t length = static_cast<unsigned char>(token[at]) < 0x80 ? 1 : 2;
    const auto found = alphabet().bytes.find(token.substr(at, length));
    if (found == alphabet().bytes.end()) {
      text += token;
      return;
    }
    bytes += found->second;
    at += length;
  }
  text += bytes;
}
}  // namespace

std::vector<std::string> byte_symbols() {
  std::vector<std::string> symbols(alphabet().spellings.begin(), alphabet().spellings.end());
  std::sort(symbols.begin(), symbols.end());  // UTF-8 sorts as the code points do
  return symbols;
}

template <class Matches>
size_t Bpe::Index::slot(size_t hash, const Matches& matches) const {
  size_t at = hash & (slots_.size() - 1);
  while (slots_[at] >= 0 && !matches(slots_[at])) at = (at + 1) & (slots_.size() - 1);
  return at;
}

template <class HashOf>
void Bpe::Index::reserve(size_t count, const HashOf& hash_of) {
  if (count <= slots_.size() / 2) return;
  const std::vector<int32_t> old = std::exchange(slots_, std::vector<int32_t>(std::bit_ceil(count * 2), -1));
  for (const int32_t index : old) {
    if (index >= 0) (*this)(hash_of(index), [](int32_t) { return false; }) = index;
  }
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): tokens are moved out of the vocabulary.
Bpe::Bpe(std::vector<std::pair<std::string, int64_t>> vocabulary,
         const std::vector<std::pair<std::string_view, std::string_view>>& merges, std::string_view what) {
  token_index_.reserve(vocabulary.size(), [](int32_t) { return size_t{0}; });
  tokens_.reserve(vocabulary.size());
  for (auto& [token, token_id] : vocabulary) insert(std::move(token), token_id, what);
  merge_index_.reserve(merges.size(), [](int32_t) { return size_t{0}; });
  merges_.reserve(merges.size());
  for (const auto& [left, right] : merges) add_merge(static_cast<int32_t>(merges_.size()), left, right, what);
  for (int byte = 0; byte < 256; ++byte) {
    const std::string& spelling = alphabet().spellings[byte];
    byte_ids_[byte] = id(spelling).value_or(-1);
    last_byte_ids_[byte] = id(spelling + std::string(kWordEnd)).value_or(-1);
  }
}

void Bpe::insert(std::string token, int64_t token_id, std::string_view what) {
  if (token.empty()) fail(ErrorCode::bad_file, "'{}': the vocabulary has an empty token", what);
  if (token_id < 0 || token_id > kMaxId) {
    fail(ErrorCode::bad_file, "'{}': the id {} of token '{}' is not between 0 and {}", what, token_id, shown(token),
         kMaxId);
  }
  if (std::cmp_greater_equal(token_id, tokens_.size())) tokens_.resize(static_cast<size_t>(token_id) + 1);
  if (!tokens_[token_id].empty()) {
    fail(ErrorCode::bad_file, "'{}': the tokens '{}' and '{}' have the same id {}", what, shown(tokens_[token_id]),
         shown(token), token_id);
  }
  token_index_.reserve(++token_count_, [&](int32_t index) { return hash_token(tokens_[index]); });
  int32_t& place = token_index_(hash_token(token), [&](int32_t index) { return tokens_[index] == token; });
  if (place >= 0) fail(ErrorCode::bad_file, "'{}': the token '{}' appears twice", what, shown(token));
  place = static_cast<int32_t>(token_id);
  tokens_[token_id] = std::move(token);
}

void Bpe::add_merge(int32_t rank, std::string_view left, std::string_view right, std::string_view what) {
  const auto known = [&](std::string_view token) {
    const auto token_id = id(token);
    if (!token_id) {
      fail(ErrorCode::bad_file, "'{}': merge {} needs the token '{}', which the vocabulary lacks", what, rank + 1,
           shown(token));
    }
    return *token_id;
  };
  const Merge merge{known(left), known(right), known(std::string(left).append(right))};
  merges_.push_back(merge);
  // Of two equal merges the later counts, as in the tokenizers library.
  merge_index_(hash_pair(merge.left, merge.right), [&](int32_t index) {
    return merges_[index].left == merge.left && merges_[index].right == merge.right;
  }) = rank;
}

std::optional<int32_t> Bpe::id(std::string_view token) const {
  const int32_t found = token_index_(hash_token(token), [&](int32_t index) { return tokens_[index] == token; });
  return found < 0 ? std::nullopt : std::optional(found);
}

void Bpe::add(std::string_view token, int64_t token_id, std::string_view what) {
  const auto present = id(token);
  if (!present) return insert(std::string(token), token_id, what);
  if (*present != token_id) {
    fail(ErrorCode::bad_file, "'{}': the added token '{}' has the id {}, but {} in the vocabulary", what, shown(token),
         token_id, *present);
  }
}

int32_t Bpe::find_rank(int32_t left, int32_t right) const {
  return merge_index_(hash_pair(left, right),
                      [&](int32_t index) { return merges_[index].left == left && merges_[index].right == right; });
}

// Joins the adjacent pair of the lowest rank, the leftmost of equals, until no pair has a merge. A queue of candidates
// makes that n log n for a word of n bytes; candidates whose symbols have changed since are recognised and dropped.
void Bpe::encode(std::string_view word, int32_t unknown, std::vector<int32_t>& ids) const {
  struct Symbol {
    int32_t id;  // -1: joined to the symbol before it
    int previous, next;
  };
  struct Candidate {
    int32_t rank;
    int at;
    bool operator<(const Candidate& other) const {  // the queue's top is its largest
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };
  const int length = static_cast<int>(word.size());
  std::vector<Symbol> symbols(word.size());
  for (int i = 0; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(word[i]);
    const int32_t symbol = i + 1 < length ? byte_ids_[byte] : last_byte_ids_[byte];
    symbols[i] = {symbol < 0 ? unknown : symbol, i - 1, i + 1};
  }
  const auto rank_at = [&](int at) {
    const bool is_pair = at >= 0 && symbols[at].id >= 0 && symbols[at].next < length;
    return is_pair ? find_rank(symbols[at].id, symbols[symbols[at].next].id) : -1;
  };
  std::priority_queue<Candidate> queue;
  const auto consider = [&](int at) {
    if (const int32_t rank = rank_at(at); rank >= 0) queue.push({rank, at});
  };
  for (int i = 0; i + 1 < length; ++i) consider(i);
  while (!queue.empty()) {
    const auto [rank, at] = queue.top();
    queue.pop();
    if (rank_at(at) != rank) continue;
    const int joined = symbols[at].next;
    symbols[at].id = merges_[rank].joined;
    symbols[at].next = symbols[joined].next;
    if (symbols[at].next < length) symbols[symbols[at].next].previous = at;
    symbols[joined].id = -1;
    consider(symbols[at].previous);
    consider(at);
  }
  for (int i = 0; i < length; i = symbols[i].next) ids.push_back(symbols[i].id);
}

std::string Bpe::decode(std::span<const int32_t> ids) const {
  std::string bytes;
  for (const int32_t token : ids) {
    if (token >= 0 && token < size()) append_bytes(tokens_[token], bytes);
  }
  const std::string spelled = valid_utf8(bytes);
  std::string text;
  for (size_t at = 0; at < spelled.size();) {
    const size_t end = std::min(spelled.find(kWordEnd, at), spelled.size());
    text.append(spelled, at, end - at).append(end < spelled.size() ? " " : "");
    at = end + kWordEnd.size();
  }
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

}  // namespace tempera
