// See report.h.
#include "moga/bench/report.h"

#include "moga/bench/format.h"

namespace moga {
namespace {

// {"heads": 12, "head_dim": 128} → "heads 12, head_dim 128"
std::string sizes_line(const nlohmann::ordered_json& sizes) {
  std::string line;
  for (const auto& [name, value] : sizes.items())
    line += (line.empty() ? "" : ", ") + name + " " + (value.is_string() ? value.get<std::string>() : value.dump());
  return line;
}

}  // namespace

std::string to_table(const BenchReport& report) {
  std::string text = report.device + ", " + report.dtype + "\n" + sizes_line(report.sizes) + "\n";
  text += formatted("products of %lld x %lld matrices: %.2f TFLOP/s; copies: %.1f GB/s\n\n",
                    static_cast<long long>(report.rates.matrix_size), static_cast<long long>(report.rates.matrix_size),
                    report.rates.matrix_flops / 1e12, report.rates.copy_bytes / 1e9);
  text += formatted("%-26s %-9s %-16s %10s %9s %7s %9s %8s", "work", "backend", "pass", "ms", "TFLOP/s", "matrix",
                    "peak GiB", "repeats");
  text += report.ratio.empty() ? "\n" : "  " + report.ratio + "\n";
  for (const BenchRow& row : report.rows) {
    text += formatted("%-26s %-9s %-16s %10.3f %9.2f %7.3f %9.3f %8lld", row.work.c_str(), row.backend.c_str(),
                      row.pass.c_str(), row.measured.seconds * 1e3, row.rate() / 1e12,
                      row.rate() / report.rates.matrix_flops, static_cast<double>(row.measured.peak_bytes) / kGiB,
                      static_cast<long long>(row.measured.repeats));
    text += row.ratio ? formatted("  %.3f\n", *row.ratio) : "\n";
  }
  return text;
}

std::string to_json_text(const BenchReport& report) {
  nlohmann::ordered_json json = {{"bench", report.bench}, {"device", report.device}, {"dtype", report.dtype}};
  json["sizes"] = report.sizes;
  json["matrix"] = {{"size", report.rates.matrix_size}, {"flop_per_second", report.rates.matrix_flops}};
  json["copy_bytes_per_second"] = report.rates.copy_bytes;
  json["ratio"] = report.ratio;
  json["rows"] = nlohmann::ordered_json::array();
  for (const BenchRow& row : report.rows) {
    nlohmann::ordered_json item = {{"work", row.work},
                                   {"backend", row.backend},
                                   {"pass", row.pass},
                                   {"seconds", row.measured.seconds},
                                   {"repeats", row.measured.repeats},
                                   {"flop", row.flop},
                                   {"flop_per_second", row.rate()},
                                   {"share_of_matrix_rate", row.rate() / report.rates.matrix_flops},
                                   {"peak_bytes", row.measured.peak_bytes}};
    if (row.ratio) item["ratio"] = *row.ratio;
    json["rows"].push_back(item);
  }
  return json.dump(2) + "\n";
}

}  // namespace moga
