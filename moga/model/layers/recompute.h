// Recomputation of blocks in training: a block keeps little between its forward and its backward pass, and runs its
// forward pass again, with gradients, when its backward pass comes.
//
//   kept per block, Wan2.1-1.3B (C = 1536) at 187,200 tokens in bfloat16
//     none       all activations                                          about 18 GiB
//     selective  the input, and each attention branch's output and lse    0.54 + 3 · 0.54 GiB
//     full       the input                                                0.54 GiB, or on the host (input_offload.h)
//
// With selective_blocks = n only the last n blocks are selective, the others are full: between the two in memory and
// time.
//
// A block must be a pure function of its inputs. Both passes run the same code with gradients enabled, so outputs and
// gradients have the same bits in every mode. All inputs of a block get gradients, also those that blocks share; each
// parameter's are added to .grad once. Gradients of gradients are not available.
#pragma once

#include <torch/nn/module.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "moga/core/choice.h"
#include "moga/model/layers/block_weights.h"

namespace moga {

class AttentionMemory;
class InputOffload;

enum class Recompute { kAuto, kNone, kSelective, kFull };
template <>
inline constexpr auto kChoices<Recompute> = std::array{
    Choice{Recompute::kAuto, "auto", "the fastest that fits the memory, chosen by the planner; none without a plan"},
    Choice{Recompute::kNone, "none", "all activations are kept"},
    Choice{Recompute::kSelective, "selective", "results of attention are kept, the rest is recomputed"},
    Choice{Recompute::kFull, "full", "everything is recomputed from the block's input"},
};

struct RecomputeConfig {
  Recompute mode = Recompute::kAuto;
  bool offload_inputs = false;
  int64_t selective_blocks = 0;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("mode", mode, "what a block keeps for its backward pass");
    field("offload_inputs", offload_inputs, "block inputs wait for the backward pass in host memory");
    field("selective_blocks", selective_blocks,
          "mode selective: only so many blocks, the last ones, keep results of attention; 0: all");
  }
};

// "selective", "selective in the last 12 blocks", "full, block inputs in host memory".
std::string describe(const RecomputeConfig& config);

// How a block is run: whether attention results are recorded or replayed, and whether this is a recomputation.
struct BlockRun {
  AttentionMemory* memory = nullptr;  // passed on to the attention calls; may be null
  bool again = false;                 // a recomputation: observers have seen this block
};

// A block as a function of tensors, the first of which is x. Undefined outputs are allowed.
using BlockFunction =
    std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>& inputs, const BlockRun& run)>;

// The blocks of one forward pass, and of its backward pass.
class BlockRunner {
 public:
  BlockRunner(const RecomputeConfig& config, int64_t blocks, std::shared_ptr<BlockWeights> weights);
  // Runs block 0, 1, … in turn. `module` holds the block's parameters. The function lives until the backward pass has
  // run, so it must own what it uses.
  std::vector<at::Tensor> run(int64_t block, const torch::nn::Module& module, const BlockFunction& function,
                              const std::vector<at::Tensor>& inputs);

 private:
  bool keeps_attention(int64_t block) const;

  RecomputeConfig config_;
  int64_t blocks_;
  std::shared_ptr<BlockWeights> weights_;
  std::shared_ptr<InputOffload> offload_;  // none unless the config asks for it
};

}  // namespace moga
