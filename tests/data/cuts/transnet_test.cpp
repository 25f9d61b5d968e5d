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

// Windows after the first take results from the one before.
TEST(TransNet, PredictsWhatThePackagePredicts) {
  const Safetensors expected(kTransNetFixtures / "transnet/expected.safetensors");
  const at::Tensor ends = expected.load("predictions"), within = expected.load("within");
  TransNetCuts cuts(transnet_config());
  for (int64_t t = 0; t < kFixtureFrames; ++t) cuts.add(fixture_frame(t).const_data_ptr<uint8_t>());
  cuts.finish();
  ASSERT_EQ(static_cast<int64_t>(cuts.ends().size()), kFixtureFrames);
  ASSERT_EQ(static_cast<int64_t>(cuts.within().size()), kFixtureFrames);
  EXPECT_GT(ends.max().item<float>() - ends.min().item<float>(), 0.1);  // the fixture says something
  EXPECT_GT(within.max().item<float>(), 5 * within.min().item<float>());
  for (int64_t t = 0; t < kFixtureFrames; ++t) {
    EXPECT_NEAR(cuts.ends()[static_cast<size_t>(t)], ends[t].item<float>(), 1e-4) << "frame " << t;
    const float small = within[t].item<float>();
    EXPECT_NEAR(cuts.within()[static_cast<size_t>(t)], small, 0.01 * small) << "frame " << t;
  }
}

std::vector<float> high_at(const std::vector<int64_t>& frames) {
  std::vector<float> values(60, 0.01f);
  for (const int64_t frame : frames) values[static_cast<size_t>(frame)] = 0.9f;
  return values;
}

TEST(TransNet, FramesWithinATransitionAreItsExtent) {
  const auto found = transnet_boundaries(high_at({10, 33}), high_at({10, 30, 31, 32, 35, 36, 50, 51}), 0.5, 0.25);
  ASSERT_EQ(found.size(), 2u);  // two frames without an end are nothing
  EXPECT_TRUE(found[0].clean());
  EXPECT_EQ(found[0].before, 10);
  EXPECT_EQ(found[1].before, 29);  // the gap is closed
  EXPECT_EQ(found[1].after, 37);
  EXPECT_GT(found[1].score, found[1].threshold);
}

TEST(TransNet, ATransitionWithoutAnEndCountsAndTheFilmsEndsDoNot) {
  const auto found = transnet_boundaries(high_at({0, 59}), high_at({0, 1, 2, 3, 20, 21, 22, 57, 58, 59}), 0.5, 0.25);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].before, 19);
  EXPECT_EQ(found[0].after, 23);
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
