// The table of rows for people, made from its JSON.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench_output.h"
#include "units.h"

namespace tempera::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<const char*, 12> kColumns = {"dtype",    "pictures", "seconds", "spread", "first", "planned",
                                                  "measured", "ceiling",  "joules",  "mean",   "max",   "PSNR"};
using Cells = std::array<std::string, kColumns.size()>;

std::string figure(const Json& value) {
  if (!value.is_number()) return "-";
  const double number = value.get<double>();
  return fmt::format("{:.{}f}", number, number >= 100 ? 0 : number >= 10 ? 1 : number >= 1 ? 2 : 3);
}

std::string decimals(const Json& value, int digits) {
  return value.is_number() ? fmt::format("{:.{}f}", value.get<double>(), digits) : "-";
}

Cells cells(const Json& row) {
  const Json& difference = row.at("difference");
  const auto compared = [&](const char* field) { return difference.is_null() ? Json() : difference.at(field); };
  // Equal pictures have no PSNR.
  const std::string psnr = compared("max") == 0 ? "equal" : decimals(compared("psnr"), 1);
  return {row.at("dtype").get<std::string>(),
          fmt::format("{}", row.at("images").get<int>()),
          figure(row.at("median_seconds")),
          figure(row.at("spread_seconds")),
          figure(row.at("first_picture_seconds")),
          format_bytes(row.at("planned_peak_bytes").get<double>()),
          format_bytes(row.at("measured_peak_bytes").get<double>()),
          format_percent(row.at("ceiling_share").get<double>(), 1),
          figure(row.at("joules")),
          decimals(compared("mean"), 3),
          compared("max").is_null() ? "-" : fmt::format("{}", compared("max").get<int>()),
          psnr};
}

std::string failure(const Json& row) {
  return "failed: " + row.at("failed").get<std::string>();
}

std::string ceilings(const Json& ceilings) {
  std::string text;
  for (const Json& a : ceilings.at("arithmetic")) {
    text += fmt::format("{}/s ({}, {}x{} {}), ", format_flops(a.at("flops_per_second").get<double>()),
                        a.at("kernel").get<std::string>(), a.at("size").get<int64_t>(), a.at("size").get<int64_t>(),
                        a.at("dtype").get<std::string>());
  }
  const Json& memory = ceilings.at("memory");
  return text + fmt::format("{:.1f} GB/s ({}, {})", memory.at("bytes_per_second").get<double>() / 1e9,
                            memory.at("kernel").get<std::string>(), format_bytes(memory.at("bytes").get<double>()));
}

std::string conditions(const Json& c) {
  return fmt::format("{} of {}x{}, {} steps, guidance {}, {}, seed {}, {} runs", c.at("images").get<int>(),
                     c.at("width").get<int>(), c.at("height").get<int>(), c.at("steps").get<int>(),
                     c.at("guidance_scale").get<double>(), c.at("scheduler").get<std::string>(),
                     c.at("seed").get<uint64_t>(), c.at("runs").get<int>());
}

}  // namespace

std::string table_text(const Json& document) {
  const Json& machine = document.at("machine");
  const Json& c = document.at("conditions");
  std::string text = fmt::format("model      {}\ndevice     {}, {}\npicture    {}\nprompt     {}\nceilings   {}\n\n",
                                 c.at("model").get<std::string>(), machine.at("device").get<std::string>(),
                                 format_bytes(machine.at("memory_bytes").get<double>()), conditions(c),
                                 c.at("prompt").get<std::string>(), ceilings(document.at("ceilings")));
  const auto line = [&text](std::string_view first, const auto& others) {
    text += fmt::format("{:<24}", first);
    for (size_t i = 0; i < kColumns.size(); ++i) text += fmt::format("{:>{}}", others[i], i == 0 ? 6 : 10);
    text += '\n';
  };
  line("row", kColumns);
  for (const Json& row : document.at("rows")) {
    if (row.contains("failed")) {
      text += fmt::format("{:<24}  {}\n", row.at("row").get<std::string>(), failure(row));
    } else {
      line(row.at("row").get<std::string>(), cells(row));
    }
  }
  return text;
}

std::string table_markdown(const Json& document) {
  const Json& c = document.at("conditions");
  std::string text = fmt::format("{}; {}; {}.\n\n`{}`\n\n| row | options |", c.at("model").get<std::string>(),
                                 document.at("machine").at("device").get<std::string>(), conditions(c),
                                 document.at("command").get<std::string>());
  for (const char* column : kColumns) text += fmt::format(" {} |", column);
  text += "\n|---|---|";
  for (size_t i = 0; i < kColumns.size(); ++i) text += i == 0 ? "---|" : "---:|";
  text += '\n';
  for (const Json& row : document.at("rows")) {
    const std::string options = row.at("options");
    text +=
        fmt::format("| {} | {} |", row.at("title").get<std::string>(), options.empty() ? options : "`" + options + "`");
    if (row.contains("failed")) {
      text += fmt::format(" {} |", failure(row));
      for (size_t i = 1; i < kColumns.size(); ++i) text += " |";
    } else {
      for (const std::string& cell : cells(row)) text += fmt::format(" {} |", cell);
    }
    text += '\n';
  }
  return text;
}

}  // namespace tempera::cli
