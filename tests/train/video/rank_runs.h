// Tiny training runs on several processes: what the parent asks of the ranks, and what they compare.
#pragma once

#include "moga/train/video/task.h"
#include "tests/support/ranks.h"
#include "tests/train/tiny_images.h"

namespace moga::test {

// What the parent passes to the ranks: they must share data and run.
struct RunRequest {
  std::string data = (tiny_data() / "").string(), out, resume = "-";
  int64_t data_ranks = 1, steps = 5, pieces = 1, tokens = 0;  // tokens: per batch, in place of 4 videos
  std::string shard = "none", weights = "float32", recompute = "selective";
  std::string images = "-";  // or an ImageStyle, whose data `data` has

  std::string text() const;
};
RunRequest run_request(const std::string& text);
TrainConfig config_of(const RunRequest& request);

// Takes the train steps of the first stage. [steps, 3 + sets + layers]: loss, balance loss and norm of the gradient of
// each, norms of its parts, and the sums of the gates.
at::Tensor steps_of(VideoTask& task, const TrainConfig& config);

// The line that the launcher reports; empty when all went well.
std::string run_on(int64_t ranks, const std::string& body, const RunRequest& request);

// Size and checksum of each file of the newest checkpoint.
nlohmann::json files_of_newest(const Folder& run);

}  // namespace moga::test
