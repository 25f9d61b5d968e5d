// Block inputs in host memory between the forward and the backward pass, for recomputation of long videos.
//
//   forward    store(0, x₀)  store(1, x₁)  …    copies each input while its block computes, then frees it on the device
//   backward   …  fetch(1)  fetch(0)            fetch(i) starts the copy of input i − 1, one block ahead
//
// On CUDA the copies run on a stream of their own, from and to pinned memory, ordered by events; nothing waits on the
// host. The last input stays on the device, since the backward pass starts with it. On the CPU an input stays as it is.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <optional>
#include <vector>

namespace moga {

class InputOffload {
 public:
  explicit InputOffload(int64_t blocks) : entries_(blocks) {}
  void store(int64_t block, const at::Tensor& x);
  // The input of the block on its device. With `keep` it can be fetched again, for a graph that is kept.
  at::Tensor fetch(int64_t block, bool keep);

 private:
  struct Entry {
    at::Tensor host, device;
    c10::Device home = at::kCPU;
    std::optional<c10::Event> there;  // when the copy to the device has run
  };
  void start(Entry& entry);

  std::vector<Entry> entries_;
  std::optional<c10::Stream> copies_;  // none on the CPU
};

}  // namespace moga
