// Parameters that are kept, gathered and reduced together: a flat buffer in shards, one per rank (flat_layout.h), as
// FSDP and ZeRO shard the state of training.
//
//   whole     every rank holds the flat buffer, of which the parameters are views; the optimiser changes the rank's
//             shard of it, and start_share() gathers the others
//   sharded   a rank holds its shard alone; start_gather() fills a buffer, of which point() makes the parameters views
//
//   gradients of all parameters → flat float32 → reduce-scatter → the rank's shard of their sum, [L]
//
// The float32 values that the parameters had at the start become the masters of the shard. Nothing waits on the host
// for a GPU. It knows neither optimiser nor model.
#pragma once

#include <optional>
#include <vector>

#include "moga/parallel/flat_layout.h"
#include "moga/parallel/process_group.h"

namespace moga {

enum class Holding { kWhole, kSharded };

struct ShardedOptions {
  c10::ScalarType dtype = c10::kFloat;  // of the stored weights
  c10::Device device = c10::Device(c10::kCPU);
  Holding holding = Holding::kWhole;
  bool trained = true;  // frozen parameters have neither masters nor gradients
};

class ShardedParameters {
 public:
  // `parameters`: float32, on any device; their storage is replaced. Sharded ones have no values until point().
  ShardedParameters(std::vector<at::Tensor> parameters, const ProcessGroup& ranks, const ShardedOptions& options);

  const std::vector<at::Tensor>& parameters() const { return parameters_; }
  const std::vector<FlatPiece>& pieces() const { return pieces_; }  // of this rank's shard
  bool sharded() const { return options_.holding == Holding::kSharded; }
  bool trained() const { return options_.trained; }

  // [L], of which pieces are parts: the stored weights, and the float32 masters, which are the same tensor where the
  // weights are float32.
  const at::Tensor& shard() const { return shard_; }
  const at::Tensor& masters() const { return masters_; }

  int64_t flat_bytes() const { return layout_.length() * static_cast<int64_t>(shard_.itemsize()); }
  // Fills `bytes` (uint8, at least flat_bytes()) with the weights of all ranks.
  Pending start_gather(const at::Tensor& bytes) const;
  void point(const at::Tensor& bytes);
  Pending start_share() const;

  // Starts to sum gradients over the ranks, one per parameter, undefined where there is none. Sums of several calls add
  // up.
  void add_gradients(const std::vector<at::Tensor>& gradients);
  void settle();  // the sums that were started are in the shard when what is queued from here on runs
  // The shard's part of the gradient of a piece, [length] float32; undefined where no gradient reached the parameter.
  at::Tensor gradient(const FlatPiece& piece);
  void drop_gradients();

 private:
  at::Tensor flat_view(const at::Tensor& flat, size_t parameter) const;
  void copy_shard(const at::Tensor& to) const;

  std::vector<at::Tensor> parameters_;
  ProcessGroup ranks_;
  ShardedOptions options_;
  FlatLayout layout_;
  std::vector<FlatPiece> pieces_;
  at::Tensor flat_;             // [P·L] where the weights are whole
  at::Tensor shard_, masters_;  // [L]
  at::Tensor sum_;              // [L] float32, of the gradients
  std::optional<Pending> sum_started_;
  std::vector<bool> reached_;  // by a gradient, per parameter
};

}  // namespace moga
