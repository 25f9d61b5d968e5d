// The parts of a model whose gradient norms a run logs. Each trained parameter belongs to one part by its name
// (attention_q, router, mlp, …) and, inside a block, to its layer. The norm of a part is the root of the sum of squares
// over all of its parameters in all layers, so that the squares of all parts add up to that of the whole gradient.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "moga/train/loop/parameters.h"

namespace moga {

// "transformer.blocks.3.self_attn.q.weight" → "attention_q"; "other" where no rule fits.
std::string gradient_part(const std::string& parameter);
// The number in "transformer.blocks.12.ffn.0.weight"; −1 outside of blocks.
int64_t block_of(const std::string& parameter);

class GradientParts {
 public:
  explicit GradientParts(const NamedTensors& parameters);

  // The parts that have parameters, then the layers.
  int64_t sets() const { return static_cast<int64_t>(parts_.size()) + layers_; }
  // Of a parameter: its part and, in a block, its layer.
  std::vector<int64_t> sets_of(const std::string& parameter) const;
  // Norms [sets] → "gradient_norms": {part: norm} and "gradient_norm_layers": [layers] of a log line.
  void complete(nlohmann::json& line, const std::vector<double>& norms) const;

 private:
  std::vector<std::string> parts_;
  int64_t layers_ = 0;
};

}  // namespace moga
