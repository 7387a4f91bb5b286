#include "source/catalog/scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <string_view>
#include <utility>

namespace tempera {
namespace fs = std::filesystem;

namespace {

constexpr int kMaxDepth = 32;
using Form = FoundModel::Form;

// The names that diffusers and transformers give to weights: whole, shards and variants.
bool is_component_weights(const std::string& file) {
  return file.starts_with("diffusion_pytorch_model") || file.starts_with("model.") || file.starts_with("model-");
}

bool is_component(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder / "config.json", error)) return false;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (form_of_file(entry->path()) == Form::safetensors && is_component_weights(entry->path().filename().string()))
      return true;
  return false;
}

class Scan {
 public:
  std::vector<FoundModel> run(const ModelFolders& folders) {
    for (const ModelFolder& folder : folders.folders) {
      folder_ = &folder;
      const size_t first = models_.size();
      if (!add_diffusers_model(folder.path, folder.path.filename().string())) visit(folder.path, "", 0);
      std::sort(models_.begin() + static_cast<std::ptrdiff_t>(first), models_.end(),
                [](const FoundModel& a, const FoundModel& b) { return a.name < b.name; });
    }
    return std::move(models_);
  }

 private:
  void add(const fs::path& path, std::string name, Form form) {
    if (paths_.insert(path).second) models_.push_back({path, std::move(name), folder_->holds, form});
  }

  bool add_diffusers_model(const fs::path& folder, std::string name) {
    std::error_code ignored;
    if (!fs::exists(folder / "model_index.json", ignored)) return false;
    add(folder, std::move(name), Form::diffusers_model);
    return true;
  }

  // `name` is that of the folder, empty for the first one. A folder inside of itself, by a symbolic link, is left out.
  void visit(const fs::path& folder, const std::string& name, int depth) {
    std::error_code error;
    const fs::path real = fs::canonical(folder, error);
    if (error || depth > kMaxDepth || std::ranges::find(open_, real) != open_.end()) return;
    open_.push_back(real);
    // The folder of a kind in a tree is no component, even if it has a config.json.
    const bool component = (depth > 0 || folder_->holds.empty()) && is_component(folder);
    if (component) add(folder, depth == 0 ? folder.filename().string() : name, Form::diffusers_folder);
    for (fs::directory_iterator entry(folder, fs::directory_options::skip_permission_denied, error), end;
         !error && entry != end; entry.increment(error)) {
      const std::string file = entry->path().filename().string();
      if (file.starts_with('.') || (component && is_component_weights(file))) continue;
      visit_entry(*entry, depth == 0 ? file : fmt::format("{}/{}", name, file), depth);
    }
    open_.pop_back();
  }

  void visit_entry(const fs::directory_entry& entry, const std::string& name, int depth) {
    std::error_code ignored;
    if (entry.is_directory(ignored)) {
      if (!add_diffusers_model(entry.path(), name)) visit(entry.path(), name, depth + 1);
    } else if (const std::optional<Form> form = form_of_file(entry.path()); form && entry.is_regular_file(ignored)) {
      add(entry.path(), name, *form);
    }
  }

  const ModelFolder* folder_ = nullptr;
  std::vector<FoundModel> models_;
  std::set<fs::path> paths_;
  std::vector<fs::path> open_;  // the folders that are being visited, without links
};

}  // namespace

std::optional<Form> form_of_file(const fs::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (extension == ".safetensors" || extension == ".sft") return Form::safetensors;
  if (extension == ".gguf") return Form::gguf;
  constexpr std::array<std::string_view, 6> kPickles = {".ckpt", ".pt", ".pt2", ".bin", ".pth", ".pkl"};
  if (std::ranges::find(kPickles, extension) != kPickles.end()) return Form::pickle;
  return std::nullopt;
}

std::vector<FoundModel> find_models(const ModelFolders& folders) {
  return Scan().run(folders);
}

}  // namespace tempera
