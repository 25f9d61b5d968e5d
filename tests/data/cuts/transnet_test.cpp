// TransNetV2 against the PyPI package transnetv2-pytorch, with the random weights of tools/make_fixtures_transnet.py.
#include "moga/data/cuts/transnet.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/safetensors.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

const std::filesystem::path kTransNetFixtures = MOGA_CUT_FIXTURES;
constexpr int64_t kFixtureFrames = 130;

// The formula of the tool.
at::Tensor fixture_frame(int64_t t) {
  const at::Tensor y = at::arange(27).view({27, 1, 1}), x = at::arange(48).view({1, 48, 1}),
                   c = at::arange(3).view({1, 1, 3});
  const int64_t scene = t / 23;
  return (3 * t + y * (3 + 2 * scene) * (c + 1) + 5 * x + 97 * scene).remainder(256).to(at::kByte).contiguous();
}

CutConfig transnet_config() {
  CutConfig config;
  config.method = CutMethod::kTransNet;
  config.weights = (kTransNetFixtures / "transnet/weights.safetensors").string();
  config.device = "cpu";
  return config;
}

TEST(TransNet, PredictsWhatThePackagePredicts) {
  const at::Tensor expected = Safetensors(kTransNetFixtures / "transnet/expected.safetensors").load("predictions");
  TransNetCuts cuts(transnet_config());
  for (int64_t t = 0; t < kFixtureFrames; ++t) cuts.add(fixture_frame(t).const_data_ptr<uint8_t>());
  cuts.finish();
  const auto& found = cuts.probabilities();
  ASSERT_EQ(static_cast<int64_t>(found.size()), kFixtureFrames);
  EXPECT_GT(expected.max().item<float>() - expected.min().item<float>(), 0.1);  // the fixture says something
  for (int64_t t = 0; t < kFixtureFrames; ++t)
    EXPECT_NEAR(found[static_cast<size_t>(t)], expected[t].item<float>(), 1e-4) << "frame " << t;
}

// A threshold between the predictions makes runs of high frames, whose ends are boundaries.
TEST(TransNet, RunsOfHighFramesAreBoundaries) {
  CutConfig config = transnet_config();
  const at::Tensor expected = Safetensors(kTransNetFixtures / "transnet/expected.safetensors").load("predictions");
  config.transnet_threshold = expected.median().item<float>();
  TransNetCuts cuts(config);
  for (int64_t t = 0; t < kFixtureFrames; ++t) cuts.add(fixture_frame(t).const_data_ptr<uint8_t>());
  const auto found = cuts.finish();
  ASSERT_FALSE(found.empty());
  for (const Boundary& one : found) {
    const auto high = [&](int64_t t) {
      return cuts.probabilities()[static_cast<size_t>(t)] > config.transnet_threshold;
    };
    EXPECT_FALSE(high(one.before - 1));
    for (int64_t t = one.before; t < one.after; ++t) EXPECT_TRUE(high(t));
    EXPECT_FALSE(high(one.after));
    EXPECT_GT(one.score, one.threshold);
  }
}

TEST(TransNet, NamesWeightsThatAreWrong) {
  const test::Folder folder;
  CutConfig config = transnet_config();
  TensorMap tensors = Safetensors(config.weights).load_all();
  tensors["extra"] = at::zeros({1});
  save_safetensors(folder / "extra.safetensors", tensors);
  config.weights = (folder / "extra.safetensors").string();
  EXPECT_NE(test::error_of([&] { TransNetCuts{config}; }).find("tensor extra is not one of TransNetV2"),
            std::string::npos);
  tensors.erase("extra");
  tensors.erase("fc1.weight");
  save_safetensors(folder / "less.safetensors", tensors);
  config.weights = (folder / "less.safetensors").string();
  EXPECT_NE(test::error_of([&] { TransNetCuts{config}; }).find("tensor fc1.weight is missing"), std::string::npos);
  config.weights.clear();
  EXPECT_NE(test::error_of([&] { config.validate(); }).find("method transnetv2 needs weights"), std::string::npos);
}

}  // namespace
}  // namespace moga
