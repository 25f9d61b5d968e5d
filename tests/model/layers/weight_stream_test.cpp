// Streamed weights: each block computes with its own, and a model gives the same bits as without streaming.
#include "moga/model/layers/weight_stream.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "moga/model/layers/linear.h"
#include "tests/model/wan/transformer_cases.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"
#include "tests/support/gpu.h"

namespace moga {
namespace {

// Block i's weights are all i, in blocks of different sizes.
struct Numbered {
  WeightStream::Modules blocks;
  std::unique_ptr<WeightStream> stream;

  Numbered(int64_t count, at::Device device) {
    const at::NoGradGuard no_grad;
    for (int64_t i = 0; i < count; ++i) blocks.push_back(Linear(3 + i % 3, 5).ptr());
    stream = std::make_unique<WeightStream>(blocks, device);
    for (int64_t i = 0; i < count; ++i)
      for (at::Tensor& parameter : blocks[i]->parameters()) parameter.fill_(i);
    stream->start();
  }
};

void expect_each_block_its_own(int64_t count, at::Device device) {
  const Numbered numbered(count, device);
  for (int pass = 0; pass < 3; ++pass)
    for (int64_t i = 0; i < count; ++i) {
      numbered.stream->enter(i, Pass::kForward);
      for (const at::Tensor& parameter : numbered.blocks[i]->parameters())
        EXPECT_TRUE(parameter.eq(i).all().item<bool>()) << count << " blocks, block " << i << ", pass " << pass;
    }
}

TEST(WeightStream, EachBlockFindsItsOwnWeights) {
  for (const int64_t count : {1, 2, 3, 4, 7}) expect_each_block_its_own(count, at::kCPU);
}

TEST(WeightStream, TwoBuffersServeAllBlocks) {
  const Numbered numbered(5, at::kCPU);
  const auto place = [&](size_t block) { return numbered.blocks[block]->parameters()[0].data_ptr(); };
  EXPECT_EQ(place(0), place(4));
  EXPECT_EQ(place(1), place(3));
  EXPECT_NE(place(0), place(1));
  EXPECT_EQ(test::error_of([&] { numbered.stream->start(); }), "weight stream: started twice");
}

// The same model loaded both ways, on several inputs.
void expect_same_bits(TransformerConfig config, at::Device device, at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  const test::Folder folder;
  save_transformer(folder.path(), test::random_transformer(config), dtype);
  Transformer whole = load_transformer(folder.path(), device, dtype);
  Transformer streamed = load_transformer(folder.path(), device, dtype, {}, /*stream_blocks=*/true);
  for (const int64_t frames : {2, 5, 3}) {
    VideoModelInput input = test::random_input(config, {{frames, 4, 6, {}}});
    input.latents[0] = input.latents[0].to(device);
    input.text = input.text.to(device);
    input.timestep = input.timestep.to(device);
    const at::Tensor expected = whole->forward(input, dtype).velocity[0];
    EXPECT_TRUE(at::equal(streamed->forward(input, dtype).velocity[0], expected)) << config.num_layers << " layers";
  }
}

TEST(WeightStream, AStreamedTransformerGivesTheSameBits) {
  TransformerConfig config = test::small_config();
  for (config.num_layers = 1; config.num_layers <= 4; ++config.num_layers)
    expect_same_bits(config, at::kCPU, at::kFloat);
}

TEST(WeightStream, TrainingIsRefused) {
  const Numbered numbered(2, at::kCPU);
  EXPECT_EQ(test::error_of([&] { numbered.stream->enter(0, Pass::kBackward); }),
            "streamed weights serve inference only");
  const TransformerConfig config = test::small_config();
  Transformer model = test::random_transformer(config);
  model->keep_blocks_on_host(at::kCPU);
  model->stream_blocks();
  const VideoModelInput input = test::random_input(config, {{2, 4, 6, {}}});
  EXPECT_EQ(test::error_of([&] { model->forward(input, at::kFloat); }),
            "streamed weights serve inference only, and gradients are enabled");
}

TEST(WeightStreamGpu, EachBlockFindsItsOwnWeights) {
  MOGA_NEEDS_GPU();
  for (const int64_t count : {1, 2, 3, 4, 7}) expect_each_block_its_own(count, at::kCUDA);
}

// Wide enough that copying and computing overlap.
TEST(WeightStreamGpu, AStreamedTransformerGivesTheSameBits) {
  MOGA_NEEDS_GPU();
  TransformerConfig config = test::small_config();
  config.num_attention_heads = 16;
  config.attention_head_dim = 64;
  config.ffn_dim = 8192;
  for (const int64_t layers : {3, 6}) {
    config.num_layers = layers;
    expect_same_bits(config, at::kCUDA, at::kBFloat16);
  }
}

}  // namespace
}  // namespace moga
