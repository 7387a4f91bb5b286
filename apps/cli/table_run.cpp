#include "table_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "bench_output.h"
#include "child_process.h"
#include "console.h"
#include "interrupt.h"
#include "json_text.h"
#include "progress_bar.h"
#include "table_rows.h"
#include "tempera/bench.h"
#include "tempera/tempera.h"

namespace tempera::cli {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

// A temporary folder, removed with its content.
class Scratch {
 public:
  Scratch() {
    std::error_code error;
    const fs::path folder = fs::temp_directory_path(error);
    const char* named = std::getenv("TMPDIR");
    if (error)
      throw Error(ErrorCode::io, fmt::format("TMPDIR is '{}', which is no folder: set it to one that can be written",
                                             named != nullptr ? named : ""));
    std::string pattern = folder / "tempera-table-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr)
      throw Error(ErrorCode::io,
                  fmt::format("cannot make a folder in '{}': set TMPDIR to one that can be written", folder.string()));
    path_ = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// The whole command, with "tempera" as the name of the program.
std::string command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::string> words;
  for (size_t at = 0; at < bytes.size(); at = bytes.find('\0', at) + 1) words.emplace_back(bytes.c_str() + at);
  if (!words.empty()) words[0] = "tempera";
  return shell_words(words);
}

void write_whole(const fs::path& path, const std::string& text) {
  const fs::path part = path.string() + ".part";
  std::ofstream file(part, std::ios::binary);
  const bool written = static_cast<bool>(file << text << std::flush);
  file.close();
  std::error_code error;
  if (written) fs::rename(part, path, error);
  if (!written || error) {
    std::error_code ignored;
    fs::remove(part, ignored);
    throw Error(ErrorCode::io, fmt::format("cannot write '{}': is there room, and may it be written?", path.string()));
  }
}

std::vector<uint8_t> read_values(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t n = values.size();
  return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

class Table {
 public:
  explicit Table(const TableOptions& options) : options_(options), bar_(stderr) {
    task_.pictures = options.task.pictures.empty() ? scratch_.path() : options.task.pictures;
    std::error_code error;
    fs::create_directories(task_.pictures, error);
    if (error)
      throw Error(ErrorCode::io,
                  fmt::format("cannot make the folder '{}' of --pictures: name another one", task_.pictures.string()));
  }

  // Returns the exit status: 1 if a row failed.
  int run() {
    const std::vector<TableRow> rows = find_rows(options_.rows);
    write_model();
    describe();
    bool failed = false;
    for (const TableRow& row : rows) {
      Json json = measured(row);
      if (interrupted()) break;
      failed = failed || json.contains("failed");
      document_["rows"].push_back(std::move(json));
      if (!options_.output.empty()) write_whole(options_.output, json_text(document_));
    }
    bar_.clear();
    print_out(options_.json       ? json_text(document_)
              : options_.markdown ? table_markdown(document_)
                                  : table_text(document_));
    if (interrupted()) {
      print_error("tempera: error: stopped");
      return interrupted_exit_status();
    }
    return failed ? 1 : 0;
  }

 private:
  // The result of a process that has ended.
  struct Said {
    Json result;  // null if it failed
    double first_picture_seconds = 0;
    std::string failed;
    ErrorCode code = ErrorCode::internal;
  };

  void write_model() {
    EngineOptions& engine = options_.inputs.engine;
    if (engine.preset.empty()) return;
    model_ = engine.preset + " (random weights)";
    engine.model = scratch_.path() / "model";
    const auto progress = [this](size_t done, size_t total) {
      bar_.update("random weights", static_cast<double>(done), static_cast<double>(total), "B");
    };
    synth({.preset = engine.preset}, engine.model, progress, interrupted);
    engine.preset.clear();
  }

  // Collects the data that all rows share. A mistake of the request ends the table here.
  void describe() {
    task_.what = kMachineTask;
    task_.rows = options_.rows;
    Said said = ask("", {});
    if (!said.failed.empty()) throw Error(interrupted() ? ErrorCode::cancelled : said.code, said.failed);
    Inputs& inputs = options_.inputs;
    const Request& request = inputs.request;
    inputs.engine.device = said.result.at("device").get<std::string>();
    if (model_.empty()) model_ = fs::path(said.result.at("model").get<std::string>()).filename();
    document_ = {{"schema", "tempera-bench-table/1"},
                 {"engine", "tempera"},
                 {"version", version()},
                 {"commit", options_.commit},
                 {"command", command_line()},
                 {"machine", said.result.at("machine")},
                 {"conditions",
                  {{"model", model_},
                   {"prompt", request.prompt},
                   {"width", request.width},
                   {"height", request.height},
                   {"images", request.num_images_per_prompt},
                   {"steps", *request.num_inference_steps},
                   {"guidance_scale", *request.guidance_scale},
                   {"scheduler", request.scheduler},
                   {"seed", *request.seed},
                   {"runs", *options_.runs}}},
                 {"ceilings", said.result.at("ceilings")},
                 {"rows", Json::array()}};
  }

  Json measured(const TableRow& row) {
    const std::string& device = options_.inputs.engine.device;
    Json json = {{"row", row.key}, {"title", row.title}, {"options", row_options(row, device)}};
    std::vector<std::string> more;
    std::string failed;
    if (row.embeddings) {
      task_.embeddings = scratch_.path() / "prompt.safetensors";
      more = {"--embeddings=" + task_.embeddings.string()};
      task_.what = kEmbeddingsTask;
      failed = ask(row.key, more).failed;
    }
    task_.what = row.key;
    if (failed.empty()) {
      const Said said = ask(row.key, more);
      failed = said.failed;
      if (failed.empty()) add_result(json, said);
    }
    if (!failed.empty()) json["failed"] = failed;
    return json;
  }

  // The command line of a process for task_.
  std::vector<std::string> arguments() const {
    std::vector<std::string> words = {"bench", "table", "--task=" + task_.what};
    for (const Field& field : request_fields()) {
      if (!field.has(FieldTrait::condition)) continue;
      const std::optional<std::string> value = field.get(options_.inputs.request, options_.inputs.engine);
      if (value) words.push_back(fmt::format("{}={}", field.flag, *value));
    }
    words.push_back(fmt::format("--runs={}", *options_.runs));
    if (!task_.rows.empty()) words.push_back("--rows=" + task_.rows);
    words.push_back("--pictures=" + task_.pictures.string());
    return words;
  }

  Said ask(std::string_view label, const std::vector<std::string>& more) {
    std::vector<std::string> words = arguments();
    words.insert(words.end(), more.begin(), more.end());
    const Clock::time_point start = Clock::now();
    ChildProcess process(words);
    Said said;
    bool complete = false;
    while (const std::optional<std::string> line = process.read_line(interrupted)) {
      const Json json = Json::parse(*line, nullptr, false);
      if (!json.is_object()) continue;  // libraries print here if their environment variables request it
      if (json.contains("at")) {
        const std::string at = json.at("at");
        bar_.update(label.empty() ? at : fmt::format("{} {}", label, at), json.at("done"), json.at("of"));
      } else if (json.contains("pictures")) {
        said.first_picture_seconds = std::chrono::duration<double>(Clock::now() - start).count();
      } else if (json.contains("result")) {
        said.result = json.at("result");
        complete = true;
      } else if (json.contains("error")) {
        said.code = static_cast<ErrorCode>(json.at("error").at("code").get<int>());
        said.failed = json.at("error").at("message");
        complete = true;
      }
    }
    const std::string end = process.end();
    if (!complete) said.failed = end.empty() ? "its process ended without a result" : end;
    return said;
  }

  void add_result(Json& json, const Said& said) {
    const Json& result = said.result;
    std::vector<double> seconds = result.at("seconds");
    std::vector<double> warm(seconds.begin() + (seconds.size() > 1 ? 1 : 0), seconds.end());
    const auto [least, most] = std::ranges::minmax(warm);
    const double middle = median(warm);
    for (const char* field : {"dtype", "images", "steps", "seconds"}) json[field] = result.at(field);
    json["median_seconds"] = middle;
    json["spread_seconds"] = most - least;
    json["stages"] = result.at("stages");
    json["first_picture_seconds"] = said.first_picture_seconds;
    for (const char* field : {"planned_peak_bytes", "measured_peak_bytes", "measured_by", "flops"})
      json[field] = result.at(field);
    json["ceiling_share"] = result.at("flops").get<double>() / middle / ceiling_of(result.at("dtype"));
    json["joules"] = result.at("joules");
    json["difference"] = difference(result.at("images"));
  }

  double ceiling_of(const std::string& dtype) const {
    const std::string own = dtype == "fp32" ? "f32" : dtype == "fp16" ? "f16" : dtype;
    for (const Json& ceiling : document_.at("ceilings").at("arithmetic"))
      if (ceiling.at("dtype") == own) return ceiling.at("flops_per_second");
    throw Error(ErrorCode::internal, fmt::format("no ceiling was measured for {}", dtype));
  }

  // The difference of the row's pictures from those of the first row of the table, for as many as both have. Null if
  // there are none, or if those of an earlier call have another size.
  Json difference(int images) const {
    const TableTask reference{table_rows().front().key, {}, 1, task_.pictures, {}};
    if (task_.what == reference.what) return nullptr;
    double sum = 0, squares = 0;
    int most = 0, compared = 0;
    std::error_code ignored;
    for (; compared < images && fs::exists(picture_file(reference, compared), ignored); ++compared) {
      const std::vector<uint8_t> wanted = read_values(picture_file(reference, compared)),
                                 found = read_values(picture_file(task_, compared));
      if (wanted.size() != found.size() || found.empty()) return nullptr;
      const PictureDifference one = picture_difference(wanted, found);
      sum += one.mean;
      squares += one.squares;
      most = std::max(most, one.max);
    }
    if (compared == 0) return nullptr;
    const PictureDifference all{sum / compared, most, squares / compared};
    return {{"mean", all.mean}, {"max", all.max}, {"psnr", std::isfinite(all.psnr()) ? Json(all.psnr()) : Json()}};
  }

  TableOptions options_;
  ProgressBar bar_;
  Scratch scratch_;
  TableTask task_;
  std::string model_;
  Json document_;
};

}  // namespace

int run_table(const TableOptions& options) {
  return Table(options).run();
}

}  // namespace tempera::cli
