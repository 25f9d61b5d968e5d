// A block of Wan's transformer with random weights and inputs (block_work.h), its groups evenly filled, with its
// attention in all layers. Private to the folder and its tests.
#pragma once

#include "moga/bench/block_work.h"
#include "moga/model/wan/block.h"

namespace moga {

struct WanBlockWork : BlockWork {
  BlockConfig config;
  Block block{nullptr};
  BlockInput input;
  LocalContext local;
  GlobalContext global;
  std::vector<int64_t> text_lengths;
  at::Tensor grad;  // of the output, [N, C]

  // `text_tokens`: per shot.
  WanBlockWork(const BlockConfig& config, const VideoShape& video, int64_t text_tokens, c10::Device device,
               c10::ScalarType dtype);
  void forward() override;
  void forward_backward() override;
  void plain_forward() override;
  void plain_forward_backward() override;

 private:
  void even_router();  // biases that fill the groups evenly, as training with the balance loss leaves them
};

// `model` is a WanTransformer3DModel's.
std::unique_ptr<BlockWork> make_wan_block_work(const VideoModelConfig& model, const VideoShape& video,
                                               c10::Device device, c10::ScalarType dtype);

}  // namespace moga
