// See rank_runs.h.
#include "tests/train/video/rank_runs.h"

#include <ATen/ATen.h>

#include <sstream>

#include "moga/core/choice.h"

namespace moga::test {

std::string RunRequest::text() const {
  std::ostringstream text;
  text << data << ' ' << out << ' ' << resume << ' ' << data_ranks << ' ' << steps << ' ' << pieces << ' ' << tokens
       << ' ' << shard << ' ' << weights << ' ' << recompute << ' ' << images;
  return text.str();
}

RunRequest run_request(const std::string& text) {
  RunRequest request;
  std::istringstream(text) >> request.data >> request.out >> request.resume >> request.data_ranks >> request.steps >>
      request.pieces >> request.tokens >> request.shard >> request.weights >> request.recompute >> request.images;
  return request;
}

TrainConfig config_of(const RunRequest& request) {
  TrainConfig config = request.images == "-"
                           ? tiny_config(request.out)
                           : tiny_image_config(choice<ImageStyle>("images", request.images), request.data, request.out);
  config.tokenizer = request.data + "spiece.model";
  config.stage[0].data = request.data + "shards";
  config.stage[0].steps = request.steps;
  config.stage[0].accumulation = request.pieces;
  config.stage[0].tokens_per_batch = request.tokens;
  if (request.tokens > 0) config.stage[0].batch = StageConfig().batch;
  config.recompute.mode = choice<Recompute>("recompute", request.recompute);
  config.weights = choice<Storage>("weights", request.weights);
  config.parallel.data = request.data_ranks;
  config.parallel.shard = choice<Shard>("shard", request.shard);
  return config;
}

at::Tensor steps_of(VideoTask& task, const TrainConfig& config) {
  const StageConfig& stage = config.stage[0];
  const TrainData data = task.load_data(stage.data, 0);
  StageBatches batches = task.batches_of(stage, data);
  std::vector<at::Tensor> lines;
  for (int64_t step = 0; step < stage.steps; ++step) {
    const TrainPosition position = {.stage = 0, .stage_step = step, .step = step};
    const StepResult result =
        task.state().train_step({.step = step, .lr = 3e-3, .pieces = task.next_batch(data, batches, position)});
    lines.push_back(at::cat(
        {at::stack({result.flow, result.balance, result.gradient_norm}), result.gradient_norms, result.gate_sum}));
  }
  return at::stack(lines).to(at::kDouble);
}

std::string run_on(int64_t ranks, const std::string& body, const RunRequest& request) {
  return run_ranks(body, ranks, {.argument = request.text()}).line;
}

nlohmann::json files_of_newest(const Folder& run) { return resume_checkpoint(run.path(), "auto")->files; }

}  // namespace moga::test
