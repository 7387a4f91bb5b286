#include "text/tokenizer_files.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "text/unicode.h"

namespace tempera {
namespace {
using nlohmann::json;

constexpr size_t kMaxFileBytes = 25'000'000;
constexpr int kDefaultMaxLength = 77;  // CLIP's text encoders; used where the file states no bound
constexpr int kLargestMaxLength = 1 << 16;
constexpr size_t kMaxAddedTokens = 10'000;
constexpr std::string_view kEndOfText = "<|endoftext|>";
constexpr std::string_view kExclamation = "!";

std::string file_name(const TokenizerTexts& texts, const char* name) {
  return texts.folder + "/" + name;
}

json parse_object(const std::optional<std::string>& text, const std::string& what) {
  json value = text ? parse_json(*text, what, {.max_bytes = kMaxFileBytes}) : json::object();
  if (!value.is_object()) fail(ErrorCode::bad_file, "'{}' must hold a JSON object", what);
  return value;
}

std::vector<std::pair<std::string, int64_t>> parse_vocabulary(const json& vocabulary, const std::string& what) {
  if (!vocabulary.is_object()) fail(ErrorCode::bad_file, "'{}': the vocabulary must be an object of token: id", what);
  std::vector<std::pair<std::string, int64_t>> entries;
  entries.reserve(vocabulary.size());
  for (const auto& [token, id] : vocabulary.items()) {
    // Bpe checks the range; a number beyond int64 would wrap, so it is refused here with the rest.
    if (!id.is_number_integer() || (id.is_number_unsigned() && id.get<uint64_t>() > Bpe::kMaxId)) {
      fail(ErrorCode::bad_file, "'{}': the id of token '{}' is not a whole number up to {}", what, token.substr(0, 100),
           Bpe::kMaxId);
    }
    entries.emplace_back(token, id.get<int64_t>());
  }
  return entries;
}

using MergeView = std::pair<std::string_view, std::string_view>;

MergeView split_merge(std::string_view text, size_t number, const std::string& what) {
  const size_t space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
    fail(ErrorCode::bad_file, "'{}': merge {} is not two tokens separated by a space", what, number);
  }
  return {text.substr(0, space), text.substr(space + 1)};
}

// merges.txt: a line per merge, in order of rank, after a line that starts with "#version".
std::vector<MergeView> parse_merge_lines(std::string_view text, const std::string& what) {
  std::vector<MergeView> merges;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty() && !line.starts_with("#version")) merges.push_back(split_merge(line, merges.size() + 1, what));
  }
  return merges;
}

// The same in tokenizer.json: a list of "a b" or of ["a", "b"]. The views refer to `merges`.
std::vector<MergeView> parse_merge_list(const json& merges, const std::string& what) {
  if (!merges.is_array()) fail(ErrorCode::bad_file, "'{}': \"merges\" must be a list", what);
  std::vector<MergeView> pairs;
  pairs.reserve(merges.size());
  for (const json& merge : merges) {
    if (merge.is_string()) {
      pairs.push_back(split_merge(merge.get_ref<const std::string&>(), pairs.size() + 1, what));
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      pairs.emplace_back(merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>());
    } else {
      fail(ErrorCode::bad_file, "'{}': merge {} is not a pair of tokens", what, pairs.size() + 1);
    }
  }
  return pairs;
}

Bpe parse_tokenizer_model(const json& tokenizer, const std::string& what) {
  const auto found = tokenizer.find("model");
  if (found == tokenizer.end() || !found->is_object()) fail(ErrorCode::bad_file, "'{}' has no \"model\"", what);
  const json& model = *found;
  // Files written before "type" was have none.
  const std::string type = find_string(model, "type", what).value_or("BPE");
  const std::string suffix = find_string(model, "end_of_word_suffix", what).value_or("");
  if (type != "BPE" || suffix != "</w>") {
    fail(ErrorCode::bad_file,
         "'{}' is a tokenizer of type {} with end_of_word_suffix '{}', not CLIP's (BPE, '</w>'): take the tokenizer "
         "that belongs to the text encoder",
         what, type.substr(0, 100), suffix.substr(0, 100));
  }
  if (!model.contains("vocab") || !model.contains("merges")) {
    fail(ErrorCode::bad_file, "'{}': its model lacks \"vocab\" or \"merges\"", what);
  }
  return {parse_vocabulary(model["vocab"], what), parse_merge_list(model["merges"], what), what};
}

Bpe parse_model(const TokenizerTexts& texts, const json& tokenizer) {
  if (texts.tokenizer) return parse_tokenizer_model(tokenizer, file_name(texts, "tokenizer.json"));
  const std::string what = file_name(texts, "vocab.json");
  if (!texts.vocabulary || !texts.merges) {
    fail(ErrorCode::bad_file, "'{}' holds no tokenizer: it needs tokenizer.json, or vocab.json and merges.txt",
         texts.folder);
  }
  const std::string merges_what = file_name(texts, "merges.txt");
  return {parse_vocabulary(parse_object(texts.vocabulary, what), what), parse_merge_lines(*texts.merges, merges_what),
          merges_what};
}

// An added token as the files write it: its content alone (special, so not normalised), or an object.
AddedToken parse_added(const json& value, const std::string& what) {
  AddedToken token;
  if (value.is_string()) {
    token.content = value.get<std::string>();
  } else {
    token.content = get_string(value, "content", what);
    token.single_word = find_bool(value, "single_word", what).value_or(false);
    const bool special = find_bool(value, "special", what).value_or(true);
    token.normalised = find_bool(value, "normalized", what).value_or(!special);
  }
  return token;
}

// Collects the added tokens; the first to name a token decides its flags.
class AddedTokens {
 public:
  // `ignored`: a token that is not added.
  AddedTokens(Bpe& bpe, std::vector<AddedToken>& tokens, std::string_view ignored)
      : bpe_(bpe), tokens_(tokens), ignored_(ignored) {}

  void add(AddedToken token, int64_t id, const std::string& what) {
    if (token.content.empty() || token.content == ignored_ || contains(token.content)) return;
    if (tokens_.size() >= kMaxAddedTokens) {
      fail(ErrorCode::bad_file, "'{}' adds more than {} tokens", what, kMaxAddedTokens);
    }
    bpe_.add(token.content, id, what);
    token.id = static_cast<int32_t>(id);
    tokens_.push_back(std::move(token));
  }

 private:
  bool contains(std::string_view content) const {
    return std::any_of(tokens_.begin(), tokens_.end(), [&](const AddedToken& t) { return t.content == content; });
  }
  Bpe& bpe_;
  std::vector<AddedToken>& tokens_;
  std::string_view ignored_;
};

// added_tokens_decoder of tokenizer_config.json: {"49406": {"content": ...}}.
void add_decoder_tokens(const json& decoder, AddedTokens& added, const std::string& what) {
  for (const auto& [key, value] : decoder.items()) {
    const bool is_id = !key.empty() && key.size() <= 7 && key.find_first_not_of("0123456789") == std::string::npos;
    if (!is_id) fail(ErrorCode::bad_file, "'{}': added_tokens_decoder has a key that is no token id", what);
    added.add(parse_added(value, what), std::stol(key), what);
  }
}

// The four tokens with a role, in the order of TokenizerFiles.
struct Role {
  const char* name;
  const char* usual;
  int32_t TokenizerFiles::*id;
};
constexpr std::array<Role, 4> kRoles{{{"bos_token", "<|startoftext|>", &TokenizerFiles::bos},
                                      {"eos_token", "<|endoftext|>", &TokenizerFiles::eos},
                                      {"pad_token", "<|endoftext|>", &TokenizerFiles::pad},
                                      {"unk_token", "<|endoftext|>", &TokenizerFiles::unknown}}};

AddedToken parse_role(const json& config, const Role& role, const std::string& what) {
  const auto stated = config.find(role.name);
  return parse_added(stated == config.end() || stated->is_null() ? json(role.usual) : *stated, what);
}

// added_tokens.json, and the list in tokenizer.json.
void add_listed_tokens(const TokenizerTexts& texts, const json& tokenizer, const json& config, AddedTokens& added) {
  const std::string legacy = file_name(texts, "added_tokens.json");
  const std::string config_what = file_name(texts, "tokenizer_config.json");
  for (const auto& [content, id] : parse_vocabulary(parse_object(texts.added_tokens, legacy), legacy)) {
    const bool special = std::any_of(kRoles.begin(), kRoles.end(), [&, &name = content](const Role& role) {
      return parse_role(config, role, config_what).content == name;
    });
    added.add({.content = content, .normalised = !special}, id, legacy);
  }
  const auto listed = tokenizer.find("added_tokens");
  if (listed == tokenizer.end() || listed->is_null()) return;
  const std::string what = file_name(texts, "tokenizer.json");
  if (!listed->is_array()) fail(ErrorCode::bad_file, "'{}': \"added_tokens\" must be a list", what);
  for (const json& token : *listed)
    added.add(parse_added(token, what), get_int(token, "id", {0, Bpe::kMaxId}, what), what);
}

int parse_max_length(const json& config, const std::string& what) {
  const auto length = find_number(config, "model_max_length", what);
  // transformers writes 1e30 for "no limit".
  if (!length || *length > kLargestMaxLength) return kDefaultMaxLength;
  return static_cast<int>(get_int(config, "model_max_length", {2, kLargestMaxLength}, what));
}

// Replaces the stated pad token by the one of the encoder that the tokenizer is for. Returns whether "!" was replaced.
bool set_padding(json& config, const Bpe& bpe, Padding padding, const std::string& what) {
  const std::string stated = parse_role(config, kRoles[2], what).content;
  if (padding == Padding::first && stated == kExclamation) config["pad_token"] = kEndOfText;
  if (padding == Padding::second && stated == kEndOfText && bpe.id(kExclamation)) config["pad_token"] = kExclamation;
  return padding == Padding::first && stated == kExclamation;
}

// Sets the ids of the four tokens with a role, which are added tokens too, and normalises the added tokens.
void set_roles(TokenizerFiles& files, const json& config, AddedTokens& added, const std::string& config_what,
               const std::string& what) {
  for (const Role& role : kRoles) {
    AddedToken token = parse_role(config, role, config_what);
    const auto id = files.bpe->id(token.content);
    if (!id) {
      fail(ErrorCode::bad_file, "'{}': the vocabulary lacks the {} '{}'", what, role.name,
           token.content.substr(0, 100));
    }
    files.*role.id = *id;
    added.add(std::move(token), *id, config_what);
  }
  for (AddedToken& token : files.added) {
    if (token.normalised) token.content = normalise(token.content);
  }
}
}  // namespace

TokenizerTexts read_tokenizer_folder(const std::filesystem::path& folder) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored)) {
    fail(ErrorCode::bad_file, "the tokenizer folder '{}' does not exist", folder.string());
  }
  const auto read = [&](const char* name) -> std::optional<std::string> {
    const std::filesystem::path path = folder / name;
    std::error_code error;
    if (!std::filesystem::exists(std::filesystem::symlink_status(path, error))) return std::nullopt;
    return read_text_file(path, kMaxFileBytes);
  };
  TokenizerTexts texts;
  texts.folder = folder.string();
  texts.tokenizer = read("tokenizer.json");
  if (!texts.tokenizer) {
    texts.vocabulary = read("vocab.json");
    texts.merges = read("merges.txt");
  }
  texts.config = read("tokenizer_config.json");
  texts.special_tokens = read("special_tokens_map.json");
  texts.added_tokens = read("added_tokens.json");
  return texts;
}

TokenizerFiles parse_tokenizer_files(const TokenizerTexts& texts, Padding padding) {
  const std::string tokenizer_what = file_name(texts, "tokenizer.json");
  const std::string config_what = file_name(texts, "tokenizer_config.json");
  const json tokenizer = parse_object(texts.tokenizer, tokenizer_what);
  json config = parse_object(texts.config, config_what);
  TokenizerFiles files{.bpe = std::make_shared<Bpe>(parse_model(texts, tokenizer)),
                       .added = {},
                       .bos = 0,
                       .eos = 0,
                       .pad = 0,
                       .unknown = 0,
                       .max_length = parse_max_length(config, config_what)};
  // A configuration that lists its added tokens is complete; otherwise the older files count, and override it.
  const auto decoder = config.find("added_tokens_decoder");
  const bool lists_added = decoder != config.end() && decoder->is_object();
  if (!lists_added) config.update(parse_object(texts.special_tokens, file_name(texts, "special_tokens_map.json")));
  const bool replaced = set_padding(config, *files.bpe, padding, config_what);
  AddedTokens added(*files.bpe, files.added, replaced ? kExclamation : "");
  if (lists_added) {
    add_decoder_tokens(config["added_tokens_decoder"], added, config_what);
  } else {
    add_listed_tokens(texts, tokenizer, config, added);
  }
  set_roles(files, config, added, config_what, texts.folder);
  return files;
}

TokenizerFiles with_usual_tokens(Bpe bpe, Padding padding, const std::string& what) {
  TokenizerFiles files{.bpe = std::make_shared<Bpe>(std::move(bpe)),
                       .added = {},
                       .bos = 0,
                       .eos = 0,
                       .pad = 0,
                       .unknown = 0,
                       .max_length = kDefaultMaxLength};
  json config = json::object();
  set_padding(config, *files.bpe, padding, what);
  AddedTokens added(*files.bpe, files.added, "");
  set_roles(files, config, added, what, what);
  return files;
}

}  // namespace tempera
