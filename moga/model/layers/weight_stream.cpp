// See weight_stream.h. Streams and events come through c10's device-independent interfaces (moga/core/cuda_stream.h).
#include "moga/model/layers/weight_stream.h"

#include <ATen/ATen.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>

#include "moga/core/check.h"
#include "moga/model/layers/packed_weights.h"

namespace moga {

WeightStream::WeightStream(const Modules& blocks, c10::Device device) : device_(device) {
  check(!blocks.empty(), "no blocks to stream");
  int64_t end = 0;
  for (const auto& module : blocks) {
    Block block{module->parameters(), end};
    block.bytes = packed_bytes(block.parameters);
    end += block.bytes;
    blocks_.push_back(std::move(block));
  }
  host_ = at::empty({end}, at::TensorOptions(at::kByte).pinned_memory(device.is_cuda()));
  for (Block& block : blocks_) view_in(block.parameters, host_.narrow(0, block.begin, block.bytes));
}

void WeightStream::start() {
  check(!started(), "weight stream: started twice");
  int64_t largest = 0;
  for (const Block& block : blocks_) largest = std::max(largest, block.bytes);
  for (Slot& slot : slots_) slot.bytes = at::empty({largest}, at::TensorOptions(at::kByte).device(device_));
  if (device_.is_cuda()) {
    const c10::Device device = slots_[0].bytes.device();  // with its index
    copies_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
    computed_.emplace(device.type());
    for (Slot& slot : slots_) {
      slot.there.emplace(device.type());
      slot.bytes.record_stream(*copies_);  // its memory is not reused while a copy is running
    }
  }
  for (size_t i = 0; i < blocks_.size(); ++i) view_in(blocks_[i].parameters, slot_of(static_cast<int64_t>(i)).bytes);
}

void WeightStream::enter(int64_t block, Pass pass) {
  check(pass == Pass::kForward, "streamed weights serve inference only");
  Slot& own = slot_of(block);
  if (own.block != block) fetch(block);
  // With an odd number of blocks the first and the last share a buffer: the first is then fetched on its own enter().
  const int64_t next = (block + 1) % static_cast<int64_t>(blocks_.size());
  if (&slot_of(next) != &own && slot_of(next).block != next) fetch(next);
  if (own.there) own.there->block(c10::impl::VirtualGuardImpl(device_.type()).getStream(own.bytes.device()));
}

void WeightStream::fetch(int64_t block) {
  const Block& source = blocks_[block];
  Slot& slot = slot_of(block);
  const at::Tensor from = host_.narrow(0, source.begin, source.bytes);
  at::Tensor to = slot.bytes.narrow(0, 0, source.bytes);
  slot.block = block;
  if (!copies_) {
    to.copy_(from);
    return;
  }
  // The buffer is free once everything queued so far has run, which includes the last block that used it.
  computed_->record(c10::impl::VirtualGuardImpl(device_.type()).getStream(to.device()));
  computed_->block(*copies_);
  const c10::StreamGuard guard(*copies_);
  to.copy_(from, /*non_blocking=*/true);
  slot.there->record(*copies_);
}

}  // namespace moga
