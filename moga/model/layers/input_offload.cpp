// See input_offload.h. Streams and events come through c10's device-independent interfaces (moga/core/cuda_stream.h).
#include "moga/model/layers/input_offload.h"

#include <ATen/ATen.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "moga/core/check.h"

namespace moga {
namespace {

// `later` runs what is queued from here on after all that is queued on the current stream of its device so far.
void follow_current_stream(const c10::Stream& later) {
  const c10::impl::VirtualGuardImpl streams(later.device_type());
  c10::Event reached(later.device_type());
  reached.record(streams.getStream(later.device()));
  reached.block(later);
}

}  // namespace

void InputOffload::store(int64_t block, const at::Tensor& x) {
  Entry& entry = entries_.at(block);
  entry = {.host = {}, .device = {}, .home = x.device(), .there = {}};
  if (!x.is_cuda() || block + 1 == static_cast<int64_t>(entries_.size())) {
    entry.device = x;
    return;
  }
  if (!copies_) copies_ = c10::impl::VirtualGuardImpl(x.device().type()).getStreamFromGlobalPool(x.device());
  entry.host = at::empty(x.sizes(), x.options().device(at::kCPU).pinned_memory(true));
  follow_current_stream(*copies_);
  const c10::StreamGuard guard(*copies_);
  entry.host.copy_(x, /*non_blocking=*/true);
  x.record_stream(*copies_);  // its memory is not reused before the copy has run
}

void InputOffload::start(Entry& entry) {
  if (entry.device.defined() || !entry.host.defined()) return;
  entry.device = at::empty(entry.host.sizes(), entry.host.options().device(entry.home).pinned_memory(false));
  entry.device.record_stream(*copies_);
  follow_current_stream(*copies_);  // earlier users of the memory that was just allocated
  const c10::StreamGuard guard(*copies_);
  entry.device.copy_(entry.host, /*non_blocking=*/true);
  entry.there.emplace(copies_->device_type());
  entry.there->record(*copies_);
}

at::Tensor InputOffload::fetch(int64_t block, bool keep) {
  Entry& entry = entries_.at(block);
  check(entry.device.defined() || entry.host.defined(), "input offload: block ", block,
        " has no input; its backward pass runs a second time without retain_graph");
  start(entry);
  if (entry.there) entry.there->block(c10::impl::VirtualGuardImpl(entry.home.type()).getStream(entry.home));
  if (block > 0) start(entries_[block - 1]);
  const at::Tensor x = entry.device;
  if (!keep) entry = {};
  if (entry.host.defined()) entry.device.reset();  // fetched from the host again
  return x;
}

}  // namespace moga
