// Missing inputs of a training run are named before anything is allocated.
#include "moga/train/video/run_inputs.h"

#include <gtest/gtest.h>

#include "moga/train/video/task.h"
#include "tests/support/error.h"
#include "tests/train/tiny_run.h"

namespace moga {
namespace {

// The error of a run of the tiny config with a change; its models have the default's 1.3 billion parameters, which a
// test could not allocate in time.
template <class Change>
std::string error(const Change& change) {
  const test::Folder folder;
  TrainConfig config = test::tiny_config(folder / "run");
  config.transformer = TrainConfig().transformer;
  change(config);
  return test::error_of([&] { train(config, ""); });
}

TEST(RunInputs, OfAGoodRunPass) {
  const test::Folder folder;
  EXPECT_EQ(test::error_of([&] { check_inputs(test::tiny_config(folder / "run")); }), "");
}

TEST(RunInputs, AMissingModelIsNamedWithItsKey) {
  EXPECT_EQ(error([](TrainConfig& config) { config.init = "no/model"; }),
            "init: no/model/transformer/config.json does not exist, expected a model folder");
  EXPECT_EQ(error([](TrainConfig& config) { config.text_encoder_init = "no"; }),
            "text_encoder_init: no/config.json does not exist, expected a text encoder folder");
  EXPECT_EQ(error([](TrainConfig& config) { config.vae = "no/vae"; }),
            "vae: no/vae/config.json does not exist, expected a VAE folder");
  EXPECT_EQ(error([](TrainConfig& config) { config.tokenizer = "no.model"; }),
            "tokenizer: no.model does not exist, expected a sentencepiece model");
}

TEST(RunInputs, TheShardsOfEveryStageAreOpened) {
  const auto add_stage = [](TrainConfig& config) {
    config.stage.push_back(config.stage[0]);
    config.stage[1].name = "second";
    config.stage[1].data = "no/shards";
  };
  EXPECT_EQ(error(add_stage).find("no/shards"), 0u);
}

}  // namespace
}  // namespace moga
