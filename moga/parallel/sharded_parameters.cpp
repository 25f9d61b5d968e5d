// See sharded_parameters.h.
#include "moga/parallel/sharded_parameters.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <utility>

namespace moga {
namespace {

std::vector<int64_t> counts_of(const std::vector<at::Tensor>& tensors) {
  std::vector<int64_t> counts;
  for (const at::Tensor& tensor : tensors) counts.push_back(tensor.numel());
  return counts;
}

}  // namespace

ShardedParameters::ShardedParameters(std::vector<at::Tensor> parameters, const ProcessGroup& ranks,
                                     const ShardedOptions& options)
    : parameters_(std::move(parameters)),
      ranks_(ranks),
      options_(options),
      layout_(counts_of(parameters_), ranks.size()),
      pieces_(layout_.pieces(ranks.rank())),
      reached_(parameters_.size(), false) {
  const at::NoGradGuard no_grad;
  check(!parameters_.empty(), "no parameters to shard");
  for (const at::Tensor& parameter : parameters_)
    check(parameter.scalar_type() == at::kFloat, "a parameter is ", parameter.scalar_type(),
          ", expected float32 before it is sharded");
  const int64_t length = layout_.shard_length();
  const auto stored = at::TensorOptions(options.dtype).device(options.device);
  if (sharded()) {
    shard_ = at::zeros({length}, stored);
    copy_shard(shard_);
  } else {
    flat_ = at::zeros({layout_.length()}, stored);
    for (size_t i = 0; i < parameters_.size(); ++i) flat_view(flat_, i).copy_(parameters_[i]);
    shard_ = flat_.narrow(0, ranks.rank() * length, length);
  }
  if (options.trained && options.dtype != at::kFloat) {
    masters_ = at::zeros({length}, stored.dtype(at::kFloat));
    copy_shard(masters_);
  } else {
    masters_ = shard_;
  }
  for (size_t i = 0; i < parameters_.size(); ++i)
    parameters_[i].set_data(sharded() ? at::zeros({1}, stored).expand(parameters_[i].sizes()) : flat_view(flat_, i));
}

// The rank's pieces of the parameters' present values.
void ShardedParameters::copy_shard(const at::Tensor& to) const {
  for (const FlatPiece& piece : pieces_)
    to.narrow(0, piece.offset, piece.length)
        .copy_(parameters_[piece.tensor].detach().reshape({-1}).narrow(0, piece.begin, piece.length));
}

at::Tensor ShardedParameters::flat_view(const at::Tensor& flat, size_t parameter) const {
  const at::Tensor& like = parameters_[parameter];
  return flat.narrow(0, layout_.begin_of(parameter), like.numel()).view(like.sizes());
}

Pending ShardedParameters::start_gather(const at::Tensor& bytes) const {
  return ranks_.start_all_gather_into(bytes.narrow(0, 0, flat_bytes()).view(options_.dtype), shard_);
}

void ShardedParameters::point(const at::Tensor& bytes) {
  const at::Tensor flat = bytes.narrow(0, 0, flat_bytes()).view(options_.dtype);
  for (size_t i = 0; i < parameters_.size(); ++i) parameters_[i].set_data(flat_view(flat, i));
}

Pending ShardedParameters::start_share() const {
  return sharded() ? Pending(shard_) : ranks_.start_all_gather_into(flat_, shard_);
}

void ShardedParameters::add_gradients(const std::vector<at::Tensor>& gradients) {
  check(gradients.size() == parameters_.size(), gradients.size(), " gradients of ", parameters_.size(), " parameters");
  check(options_.trained, "gradients of parameters that are not trained");
  const at::NoGradGuard no_grad;
  settle();
  const at::Tensor flat = at::zeros({layout_.length()}, masters_.options());
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i].defined()) continue;
    flat_view(flat, i).copy_(gradients[i]);
    reached_[i] = true;
  }
  sum_started_.emplace(ranks_.start_reduce_scatter(flat));
}

void ShardedParameters::settle() {
  if (!sum_started_) return;
  const at::NoGradGuard no_grad;
  const at::Tensor sum = sum_started_->wait();
  sum_started_.reset();
  sum_ = sum_.defined() ? sum_.add_(sum) : sum;
}

at::Tensor ShardedParameters::gradient(const FlatPiece& piece) {
  settle();
  return reached_[piece.tensor] ? sum_.narrow(0, piece.offset, piece.length) : at::Tensor();
}

void ShardedParameters::drop_gradients() {
  sum_started_.reset();
  sum_.reset();
  reached_.assign(parameters_.size(), false);
}

}  // namespace moga
