#include "source/catalog/hub_cache.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iomanip>
#include <vector>

#include "base/error.h"
#include "base/folder.h"
#include "base/user_folders.h"
#include "source/catalog/snapshot.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kFolderPrefix = "models--";

// One part of a repository's name or of a revision. It is also the name of a file or folder.
bool is_part(std::string_view text) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
  return !text.empty() && text.size() <= 96 && text != "." && text != ".." && std::ranges::all_of(text, allowed);
}

bool is_revision(std::string_view text) {
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find('/'));
    if (!is_part(part)) return false;
    if (part.size() == text.size()) return true;
    text.remove_prefix(part.size() + 1);
  }
  return false;
}

// "models--ORG--NAME" -> "ORG/NAME".
std::optional<std::string> repository_of(std::string_view folder) {
  if (!folder.starts_with(kFolderPrefix)) return std::nullopt;
  std::string name(folder.substr(kFolderPrefix.size()));
  const size_t separator = name.find("--");
  if (separator == name.npos) return std::nullopt;
  return name.replace(separator, 2, "/");
}

fs::path folder_of(const HubName& name, const fs::path& cache) {
  std::string folder = std::string(kFolderPrefix) + name.repository;
  return cache / folder.replace(folder.find('/'), 1, "--");
}

std::string fetch_command(const HubName& name, std::string_view files) {
  const std::string revision = name.revision == "main" ? "" : fmt::format(" --revision {}", name.revision);
  return fmt::format("hf download {}{} {}", name.repository, revision, files);
}

// All configurations, and the weights of components: not the single files next to them.
constexpr std::string_view kModelFiles = "--include '*.json' '*.txt' '*/*.safetensors'";

// The branches and tags in the cache, sorted.
std::vector<std::string> refs_in(const fs::path& repository) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(repository / "refs", error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_regular_file(ignored))
      names.push_back(entry->path().lexically_relative(repository / "refs").generic_string());
  }
  std::ranges::sort(names);
  return names;
}

// The content of a ref; empty if it is not the name of a commit.
std::string commit_in(const fs::path& ref) {
  std::string commit;
  std::ifstream(ref) >> std::setw(100) >> commit;
  return is_part(commit) ? commit : "";
}

// The folder name in snapshots.
std::string commit_of(const HubName& name, const fs::path& repository) {
  const fs::path ref = repository / "refs" / name.revision;
  std::error_code ignored;
  if (fs::is_regular_file(ref, ignored)) {
    std::string commit = commit_in(ref);
    if (commit.empty())
      fail(ErrorCode::bad_file, "'{}' does not have the name of a commit: fetch the revision again with: {}",
           ref.string(), fetch_command(name, kModelFiles));
    return commit;
  }
  if (is_part(name.revision) && fs::is_directory(repository / "snapshots" / name.revision, ignored))
    return name.revision;
  std::vector<std::string> revisions = refs_in(repository);
  std::ranges::copy(names_in(repository / "snapshots"), std::back_inserter(revisions));
  fail(ErrorCode::bad_file,
       "the revision '{}' of '{}' is not in the Hugging Face cache, which has {}; fetch it with: {}", name.revision,
       name.repository, revisions.empty() ? "none" : fmt::format("{}", fmt::join(revisions, ", ")),
       fetch_command(name, kModelFiles));
}

}  // namespace

std::optional<HubName> parse_hub_name(std::string_view text) {
  HubName name;
  const size_t at = text.find('@');
  if (at != text.npos) {
    name.revision = text.substr(at + 1);
    text = text.substr(0, at);
    if (!is_revision(name.revision)) return std::nullopt;
  }
  const size_t slash = text.find('/');
  if (slash == text.npos || !is_part(text.substr(0, slash)) || !is_part(text.substr(slash + 1))) return std::nullopt;
  if (text.find("--") != text.npos) return std::nullopt;  // the hub does not allow it, because of the folders' names
  name.repository = text;
  return name;
}

fs::path hub_cache() {
  if (const std::string cache = environment("HF_HUB_CACHE"); !cache.empty()) return expand_home(cache);
  if (const std::string home = environment("HF_HOME"); !home.empty()) return expand_home(home) / "hub";
  const fs::path cache = cache_folder();
  return cache.empty() ? cache : cache / "huggingface/hub";
}

bool is_in_hub(const HubName& name, const fs::path& cache) {
  std::error_code ignored;
  return !cache.empty() && fs::is_directory(folder_of(name, cache), ignored);
}

std::vector<HubName> hub_names(const fs::path& cache) {
  std::vector<HubName> names;
  if (cache.empty()) return names;
  for (const std::string& folder : names_in(cache)) {
    const std::optional<HubName> name = hub_repository(cache / folder);
    if (!name) continue;
    std::vector<std::string> commits = names_in(cache / folder / "snapshots");
    for (const std::string& ref : refs_in(cache / folder)) {
      names.push_back({name->repository, ref});
      std::erase(commits, commit_in(cache / folder / "refs" / ref));
    }
    for (const std::string& commit : commits) names.push_back({name->repository, commit});
  }
  return names;
}

bool is_diffusers_repository(const HubName& name, const fs::path& cache) {
  const fs::path snapshots = folder_of(name, cache) / "snapshots";
  return std::ranges::any_of(names_in(snapshots), [&](const std::string& commit) {
    std::error_code ignored;
    return fs::exists(snapshots / commit / "model_index.json", ignored);
  });
}

std::optional<HubName> hub_repository(const fs::path& folder) {
  std::error_code ignored;
  const fs::path plain = folder.has_filename() ? folder : folder.parent_path();
  if (!fs::is_directory(plain / "snapshots", ignored)) return std::nullopt;
  const std::optional<std::string> repository = repository_of(plain.filename().string());
  return repository ? parse_hub_name(*repository) : std::nullopt;
}

fs::path find_in_hub(const HubName& name, const fs::path& cache) {
  const fs::path repository = folder_of(name, cache);
  std::error_code ignored;
  if (!is_in_hub(name, cache)) {
    fail(ErrorCode::bad_file, "there is no model '{}', also not in the Hugging Face cache '{}': fetch it with: {}",
         name.repository, cache.string(), fetch_command(name, kModelFiles));
  }
  const std::string commit = commit_of(name, repository);
  const fs::path snapshot = repository / "snapshots" / commit;
  if (!fs::is_directory(snapshot, ignored)) {
    fail(ErrorCode::bad_file, "the snapshot '{}' of '{}' is not in the Hugging Face cache: fetch it with: {}", commit,
         name.repository, fetch_command(name, kModelFiles));
  }
  check_links(snapshot, repository / "blobs");
  const Snapshot content = read_snapshot(snapshot);
  if (!content.missing.empty()) {
    const bool unknown = content.missing.front() == "model_index.json";
    const std::string files = unknown ? std::string(kModelFiles) : fmt::format("{}", fmt::join(content.missing, " "));
    fail(ErrorCode::bad_file, "'{}' in the Hugging Face cache is incomplete: '{}' lacks {}; fetch the rest with: {}",
         name.repository, snapshot.string(), fmt::format("{}", fmt::join(content.missing, ", ")),
         fetch_command(name, files));
  }
  return content.path;
}

std::optional<std::string> hub_name_of(const fs::path& path) {
  std::vector<std::string> parts;
  for (const fs::path& part : path.lexically_normal())
    if (!part.empty()) parts.push_back(part.string());
  for (size_t i = 0; i + 2 < parts.size(); ++i) {
    const std::optional<std::string> repository = repository_of(parts[i]);
    if (repository && parts[i + 1] == "snapshots") return *repository + "@" + parts[i + 2];
  }
  return std::nullopt;
}

}  // namespace tempera
