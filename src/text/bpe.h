// Byte-level byte-pair encoding with "</w>" after a word's last byte, from one word to token ids. Bytes are represented
// by GPT-2's printable characters, so a vocabulary is plain text.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tempera {

// GPT-2's printable characters for the 256 bytes, in the order of their code points. This is the order of the first 256
// ids of CLIP's vocabulary.
std::vector<std::string> byte_symbols();

class Bpe {
 public:
  // Ids may have gaps but must not repeat; the limit is kMaxId. merges[i] is the pair of tokens that is joined with
  // rank i. Both and their concatenation must be in the vocabulary. `what` names the file in errors, which are all
  // Error(bad_file).
  static constexpr int64_t kMaxId = (1 << 18) - 1;
  Bpe(std::vector<std::pair<std::string, int64_t>> vocabulary,
      const std::vector<std::pair<std::string_view, std::string_view>>& merges, std::string_view what);

  std::optional<int32_t> id(std::string_view token) const;
  int size() const { return static_cast<int>(tokens_.size()); }  // the largest id, plus one

  // Whether both return the same ids for every word.
  bool operator==(const Bpe& other) const { return tokens_ == other.tokens_ && merges_ == other.merges_; }

  // Adds a token that no merge makes, with its own id. Does nothing if it has that id already. Throws Error(bad_file)
  // if the token has another id or the id has another token.
  void add(std::string_view token, int64_t id, std::string_view what);

  // Appends the ids of one word of any bytes. A byte that is not in the vocabulary becomes `unknown`.
  void encode(std::string_view word, int32_t unknown, std::vector<int32_t>& ids) const;

  // The text of `ids` (ids out of range are skipped): words separated by single spaces, always valid UTF-8.
  std::string decode(std::span<const int32_t> ids) const;

 private:
  // An open-addressed table of indices into an array of its owner. It is twice as fast as std::unordered_map for the
  // 50,000 tokens and 50,000 merges that are loaded at every start.
  class Index {
   public:
    // The entry with this hash that `matches`, or -1 at the free slot for it.
    template <class Matches>
    int32_t& operator()(size_t hash, const Matches& matches) {
      return slots_[slot(hash, matches)];
    }
    template <class Matches>
    int32_t operator()(size_t hash, const Matches& matches) const {
      return slots_[slot(hash, matches)];
    }
    // Allocates slots for `count` entries. `hash_of` an index returns its hash.
    template <class HashOf>
    void reserve(size_t count, const HashOf& hash_of);

   private:
    template <class Matches>
    size_t slot(size_t hash, const Matches& matches) const;
    std::vector<int32_t> slots_ = {-1, -1};  // a power of two of them, at most half of them used; -1: free
  };
  struct Merge {
    int32_t left, right, joined;
    bool operator==(const Merge&) const = default;
  };
  int32_t find_rank(int32_t left, int32_t right) const;  // -1: the pair has no merge
  void insert(std::string token, int64_t id, std::string_view what);
  void add_merge(int32_t rank, std::string_view left, std::string_view right, std::string_view what);

  std::vector<std::string> tokens_;  // by id; "" where there is none
  std::vector<Merge> merges_;        // by rank
  Index token_index_, merge_index_;
  size_t token_count_ = 0;
  std::array<int32_t, 256> byte_ids_{};       // the token of a byte inside a word, -1 when there is none
  std::array<int32_t, 256> last_byte_ids_{};  // and of the last byte of a word
};

}  // namespace tempera
