// Training on a GPU: the optimiser agrees with the CPU, a run in bfloat16 learns, and resumes from its checkpoint.
#include <torch/types.h>
#include <torch/utils.h>

#include "moga/train/video/task.h"
#include "tests/support/compare.h"
#include "tests/support/gpu.h"
#include "tests/train/tiny_run.h"

namespace moga {
namespace {

NamedTensors weights_on(at::Device device) {
  torch::manual_seed(3);
  NamedTensors weights;
  for (const auto& shape : std::vector<std::vector<int64_t>>{{1, 6, 8}, {8, 2, 1, 2, 2}, {7}})
    weights.emplace_back("w" + std::to_string(weights.size()), torch::randn(shape).to(device).requires_grad_());
  return weights;
}

TEST(TrainGpu, OptimiserAgreesWithTheCpu) {
  MOGA_NEEDS_GPU();
  const NamedTensors host = weights_on(at::kCPU), device = weights_on(at::kCUDA);
  AdamW on_host(host, {}), on_device(device, {});
  for (int64_t step = 0; step < 3; ++step) {
    for (size_t i = 0; i < host.size(); ++i) {
      host[i].second.mutable_grad() = torch::randn_like(host[i].second).detach();
      device[i].second.mutable_grad() = host[i].second.grad().to(at::kCUDA);
    }
    const double norm = on_host.step(0.01).gradient_norm.item<double>();
    EXPECT_NEAR(on_device.step(0.01).gradient_norm.item<double>(), norm, 1e-5 * norm);
  }
  for (size_t i = 0; i < host.size(); ++i)
    EXPECT_TRUE(test::close(device[i].second.cpu(), host[i].second, 1e-5)) << host[i].first;
}

TEST(TrainGpu, OverfitsOneBatchInBfloat16) {
  MOGA_NEEDS_GPU();
  const test::Folder run;
  TrainConfig config = test::tiny_config(run.path());
  config.device = "cuda";
  test::wan_of(config).attention_head_dim = 16;  // a multiple of 8: the flash backend
  VideoTask task(config);
  EXPECT_EQ(task.state().dtype(), at::kBFloat16);
  const TrainBatch batch = task.load_data(config.stage[0].data, 0).batch({{0}, {1}, {2}});
  std::vector<double> losses;
  for (int64_t step = 0; step < 150; ++step)
    losses.push_back(task.state().train_step({.step = 0, .lr = 5e-3, .pieces = {batch}}).flow.item<double>());
  EXPECT_LT(losses.back(), losses.front() / 5);
}

TEST(TrainGpu, RunsToAModelAndResumes) {
  MOGA_NEEDS_GPU();
  const test::Folder run;
  TrainConfig config = test::tiny_config(run.path());
  config.device = "cuda";
  config.cache = LatentCache::kHost;
  test::wan_of(config).attention_head_dim = 16;
  VideoTask task(config);
  EXPECT_EQ(Trainer(task, loop_config(config)).run(3), TrainEnd::interrupted);
  EXPECT_EQ(train(config, "auto"), TrainEnd::done);
  EXPECT_TRUE(std::filesystem::exists(run / "model/transformer/config.json"));
}

}  // namespace
}  // namespace moga
