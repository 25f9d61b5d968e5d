// A TensorBoard event file: what a run logs, for `tensorboard --logdir RUN`. Records of TensorFlow's TFRecord format
// (length, its CRC-32C, data, its CRC-32C), each a protobuf message `Event`, encoded here: they need four kinds of
// fields.
//
// A file is begun at every start of a run. A resumed run tells TensorBoard to forget the steps that are taken again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace moga {

// The scalars of a log line by their names in TensorBoard: "loss", "imbalance/layer 3" of a list,
// "gradient_norms/router" of an object. Other values are left out.
std::vector<std::pair<std::string, double>> scalars_of(const nlohmann::json& line);

class EventFile {
 public:
  // Creates RUN/events.out.tfevents.TIME.NUMBER.moga for a run that continues after `step`.
  EventFile(const std::filesystem::path& run, int64_t step);

  // Scalars, and for "groups" ([layers][M]) a histogram per layer. Is on disk for others when it returns.
  void add_line(int64_t step, const nlohmann::json& line);
  void add_png(int64_t step, const std::string& name, const std::filesystem::path& png);

  const std::filesystem::path& path() const { return path_; }

 private:
  void write_event(int64_t step, int field, const std::string& content);

  std::filesystem::path path_;
  std::ofstream file_;
};

}  // namespace moga
