// See frames_to_host.h. Whether a chunk is finite is computed on the device and copied with its frames, so that the
// check costs no wait of its own.
#include "moga/pipeline/frames_to_host.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <sstream>
#include <utility>

namespace moga {
namespace {

at::Tensor copy_to_host(const at::Tensor& tensor) {
  const at::Tensor host = at::empty(tensor.sizes(), tensor.options().device(at::kCPU).pinned_memory(true));
  return host.copy_(tensor, /*non_blocking=*/true);
}

}  // namespace

void FramesToHost::add(const at::Tensor& video) {
  const at::Tensor frames = to_uint8(video), finite = at::isfinite(video).all();
  if (frames.is_cpu()) return deliver(frames, finite);
  const at::Tensor host = copy_to_host(frames), host_finite = copy_to_host(finite);
  c10::Event copied(frames.device().type());
  copied.record(c10::impl::VirtualGuardImpl(frames.device().type()).getStream(frames.device()));
  finish();
  waiting_ = host;
  finite_ = host_finite;
  copied_.emplace(std::move(copied));
}

void FramesToHost::finish() {
  if (!waiting_.defined()) return;
  copied_->synchronize();
  deliver(std::exchange(waiting_, {}), finite_);
}

void FramesToHost::deliver(const at::Tensor& frames, const at::Tensor& finite) {
  if (!finite.item<bool>()) {
    std::ostringstream text;
    text << "decoding: frames " << delivered_ + 1 << " to " << delivered_ + frames.size(0) << " are NaN or infinite; "
         << (dtype_ == at::kHalf ? "float16 ends at 65504, give --vae-dtype float32"
                                 : "are the weights of the VAE damaged?");
    throw FramesNotFinite(text.str());
  }
  delivered_ += frames.size(0);
  sink_(frames);
}

}  // namespace moga
