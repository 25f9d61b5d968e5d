// The result of a benchmark: a table for the terminal and JSON for programs (`moga plan` reads it).
#pragma once

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <vector>

#include "moga/attention/backends.h"
#include "moga/bench/meter.h"
#include "moga/parallel/mesh.h"

namespace moga {

struct BenchRow {
  std::string work;     // "5 equal groups", "MoGA block"
  std::string backend;  // attention backend
  std::string pass;     // "forward", "backward", "forward+backward"
  Measurement measured;
  double flop = 0;
  std::optional<double> ratio;  // compared with the baseline's row of the same pass; see BenchReport::ratio

  double rate() const { return flop / measured.seconds; }
};

struct BenchReport {
  std::string bench;  // "attention", "block", "model"
  std::string device, dtype;
  nlohmann::ordered_json sizes;  // everything that defines the measurement
  DeviceRates rates;
  std::string ratio;  // heading of the last column, empty: no column
  std::vector<BenchRow> rows;
};

std::string to_table(const BenchReport& report);
std::string to_json_text(const BenchReport& report);

// Settings of a report: device, dtype and how long to measure.
struct BenchSetup {
  c10::Device device;
  c10::ScalarType dtype;
  AttentionBackend backend = AttentionBackend::kAuto;
  bool backward = true;
  MeterConfig meter = {};
  Mesh mesh = {};  // of ranks that all build the report
};

}  // namespace moga
