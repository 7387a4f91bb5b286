#include "source/locate.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/user_folders.h"
#include "source/catalog/contents.h"
#include "source/catalog/hash_store.h"
#include "source/catalog/hub_cache.h"
#include "source/catalog/scan.h"
#include "tempera/nearest.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {

using Matches = std::vector<const FoundModel*>;

std::string small_letters(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool is_hash(std::string_view text, size_t least) {
  return text.size() >= least && text.size() <= 64 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

// A name as people give it, with '/' between folders.
struct Query {
  std::string name;        // without A1111's hash
  std::string hash;        // the hash in brackets, in small letters; or empty
  std::string alone_hash;  // the whole text, if it can be the beginning of a hash

  explicit Query(std::string_view text) : name(text) {
    std::ranges::replace(name, '\\', '/');
    while (name.size() > 1 && name.ends_with('/')) name.pop_back();
    if (const std::string hex = small_letters(name); is_hash(hex, 10)) alone_hash = hex;
    const size_t bracket = name.rfind(" [");
    if (bracket == name.npos || !name.ends_with(']')) return;
    const std::string hex = small_letters(name.substr(bracket + 2, name.size() - bracket - 3));
    if (!is_hash(hex, 8)) return;
    hash = hex;
    name.resize(bracket);
  }
};

std::string without_extension(const FoundModel& model) {
  const bool folder =
      model.form == FoundModel::Form::diffusers_model || model.form == FoundModel::Form::diffusers_folder;
  return folder ? model.name : model.name.substr(0, model.name.rfind('.'));
}

std::string last_part(const std::string& name) {
  return name.substr(name.rfind('/') + 1);
}

// A1111's name of a checkpoint in a folder: "folder_name".
std::string with_underscores(std::string name) {
  std::ranges::replace(name, '/', '_');
  return name;
}

// The spellings of a name, the most exact one first. A name in one of them is not looked for in the others.
constexpr size_t kSpellings = 6;
bool has_spelling(const FoundModel& model, const Query& query, size_t spelling) {
  const std::string small = small_letters(query.name);
  switch (spelling) {
    case 0:
      return model.name == query.name;
    case 1:
      return small_letters(model.name) == small;
    case 2:
      return small_letters(without_extension(model)) == small;
    case 3:
      return small_letters(last_part(model.name)) == small;
    case 4:
      return small_letters(last_part(without_extension(model))) == small;
    default:
      return small_letters(with_underscores(without_extension(model))) == small;
  }
}

// Without the files that are the same as another one, by links.
Matches without_links(const Matches& matches) {
  std::set<fs::path> seen;
  Matches result;
  for (const FoundModel* model : matches) {
    std::error_code error;
    const fs::path real = fs::canonical(model->path, error);
    if (error || seen.insert(real).second) result.push_back(model);
  }
  return result;
}

class Search {
 public:
  // `models` must outlive it.
  Search(const std::vector<FoundModel>& models, FileKind kind, std::string_view name)
      : kind_(kind), given_(name), query_(name), models_(models) {}

  std::optional<fs::path> run() const {
    Matches other_kinds;  // of the most exact spelling
    for (size_t spelling = 0; spelling < kSpellings; ++spelling) {
      Matches matches;
      for (const FoundModel& model : models_)
        if (has_spelling(model, query_, spelling)) matches.push_back(&model);
      if (std::optional<fs::path> path = decide(of_kind(matches))) return path;
      if (other_kinds.empty()) other_kinds = matches;
    }
    if (std::optional<fs::path> path = decide(with_hash_alone())) return path;
    return decide(other_kinds);
  }

  // The nearest name, or else the shortest one that contains the given name. Empty if there is none.
  std::string suggestion() const {
    std::vector<std::string> names;
    for (const FoundModel& model : models_)
      for (const std::string& name : {last_part(without_extension(model)), last_part(model.name), model.name})
        names.push_back(name);
    for (const HubName& name : hub_names(hub_cache())) names.push_back(name.repository);
    std::vector<std::string> small;
    std::ranges::transform(names, std::back_inserter(small), small_letters);
    const std::string typed = small_letters(query_.name);
    std::string found = nearest(typed, small);
    for (const std::string& name : small) {
      const bool contains = typed.size() >= 3 && name.find(typed) != name.npos;
      if (contains && (found.empty() || (name.size() < found.size() && found.find(typed) != found.npos))) found = name;
    }
    return found.empty() ? found : names[static_cast<size_t>(std::ranges::find(small, found) - small.begin())];
  }

  bool looks_like_a_hash() const { return !query_.alone_hash.empty(); }

 private:
  Matches of_kind(const Matches& matches) const {
    Matches result;
    std::ranges::copy_if(matches, std::back_inserter(result),
                         [&](const FoundModel* model) { return read_contents(*model).type.kind == kind_; });
    return result;
  }

  Matches with_hash_alone() const {
    Matches result;
    if (query_.alone_hash.empty()) return result;
    std::set<std::string> hashes;  // files of the same hash have the same bytes
    for (const FoundModel& model : models_) {
      const std::optional<std::string> hash = known_hash(model.path);
      if (hash && hash->starts_with(query_.alone_hash) && hashes.insert(*hash).second) result.push_back(&model);
    }
    return result;
  }

  // The path of the only match. Nothing if there is none.
  std::optional<fs::path> decide(const Matches& all) const {
    Matches matches;
    std::set<std::string> names;  // the first folder decides
    for (const FoundModel* model : without_links(all))
      if (names.insert(model->name).second) matches.push_back(model);
    if (matches.empty()) return std::nullopt;
    if (matches.size() > 1) {
      std::vector<std::string> paths;
      for (const FoundModel* model : matches) paths.push_back(fmt::format("'{}'", model->path.string()));
      fail(ErrorCode::bad_file, "'{}' is the name of several models: give one of these paths: {}", given_,
           fmt::format("{}", fmt::join(paths, ", ")));
    }
    const fs::path& path = matches.front()->path;
    if (query_.hash.empty()) return path;
    std::error_code ignored;
    if (!fs::is_regular_file(path, ignored))
      fail(ErrorCode::bad_file, "'{}' is a folder: its name has no hash", path.string());
    if (const std::string hash = hash_of(path); !hash.starts_with(query_.hash)) {
      fail(ErrorCode::bad_file, "'{}' is not '{}': its hash is {}; give the name without a hash, or the right file",
           path.string(), given_, hash.substr(0, 10));
    }
    return path;
  }

  FileKind kind_;
  std::string given_;
  Query query_;
  const std::vector<FoundModel>& models_;
};

// A path, in any form, and not a name: "/x", "./x", "~/x".
bool is_path(std::string_view name) {
  constexpr std::array<std::string_view, 4> kBeginnings = {"/", "./", "../", "~/"};
  return std::ranges::any_of(kBeginnings, [&](std::string_view begin) { return name.starts_with(begin); });
}

std::optional<fs::path> existing(std::string_view name) {
  fs::path path = expand_home(name);
  std::error_code ignored;
  if (const std::optional<HubName> hub = hub_repository(path))
    return find_in_hub(*hub, (path / "..").lexically_normal());
  if (is_path(name) || fs::exists(path, ignored)) return path;
  return std::nullopt;
}

struct Words {
  std::string_view thing;
  FieldName field;  // that names it
  std::string_view files = "a diffusers folder, a .safetensors or .gguf file";
};

Words words_of(FileKind kind) {
  switch (kind) {
    case FileKind::unet:
      return {"UNet", {"unet"}};
    case FileKind::vae:
      return {"VAE", {"vae"}};
    case FileKind::tiny_vae:
      return {"tiny autoencoder", {"tiny_vae"}};
    case FileKind::embedding:
      return {"embedding", {"textual_inversion"}, "a .safetensors file"};
    default:
      return {"model", {"model"}};
  }
}

fs::path locate_name(const ModelFolders& folders, FileKind kind, std::string_view name) {
  const std::vector<FoundModel> models = find_models(folders);
  const Search search(models, kind, name);
  if (std::optional<fs::path> path = search.run()) return *std::move(path);
  const std::optional<HubName> hub = parse_hub_name(name);
  const std::string suggestion = search.suggestion();
  const bool in_hub = hub && is_in_hub(*hub, hub_cache());
  if (!suggestion.empty() && !in_hub)
    fail(ErrorCode::bad_file, "there is no {} '{}': did you mean '{}'?", words_of(kind).thing, name, suggestion);
  if (hub) return find_in_hub(*hub, hub_cache());
  if (search.looks_like_a_hash()) {
    fail(ErrorCode::bad_file,
         "no model with the hash '{}' is known: give the name of the model, or compute the hashes with tempera models "
         "first",
         name);
  }
  fail(ErrorCode::bad_file, "there is no {} '{}': give {} {}, or a name that tempera models lists",
       words_of(kind).thing, name, words_of(kind).field, words_of(kind).files);
}

}  // namespace

fs::path locate(const ModelFolders& folders, FileKind kind, std::string_view name) {
  if (std::optional<fs::path> path = existing(name)) return *std::move(path);
  return locate_name(folders, kind, name);
}

fs::path locate(const EngineOptions& options, FileKind kind, std::string_view name) {
  if (std::optional<fs::path> path = existing(name)) return *std::move(path);
  return locate_name(model_folders(options), kind, name);
}

std::string model_label(const fs::path& model) {
  if (std::optional<std::string> hub = hub_name_of(model)) return *std::move(hub);
  const fs::path path = fs::absolute(model).lexically_normal();
  if (!path.has_filename()) return path.parent_path().filename().string();
  std::error_code ignored;
  return fs::is_directory(path, ignored) ? path.filename().string() : path.stem().string();
}

std::string name_in(const ModelFolders& folders, FileKind kind, const fs::path& model, const std::string& label) {
  const std::vector<FoundModel> models = find_models(folders);
  const auto is_model = [&](const fs::path& path) {
    std::error_code ignored;
    return fs::equivalent(path, model, ignored);
  };
  const auto finds_it = [&](const std::string& name) {
    try {
      const std::optional<fs::path> found = Search(models, kind, name).run();
      return found && is_model(*found);
    } catch (const Error&) {
      return false;  // the name of several models
    }
  };
  const auto found = std::ranges::find_if(models, is_model, &FoundModel::path);
  return found == models.end() || finds_it(label) || !finds_it(found->name) ? label : found->name;
}

}  // namespace tempera
