// Automatic mixed precision of the operators. Attention casts q, k and v to the autocast dtype, as PyTorch's own does;
// the router keeps what it is given, because its logits are float32 (moga/attention/router.h).
#pragma once

#include <ATen/autocast_mode.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <string>

namespace moga::python {

class WithoutAutocast {
 public:
  explicit WithoutAutocast(c10::DeviceType device)
      : guard_(c10::DispatchKeySet(at::autocast::get_autocast_dispatch_key_from_device_type(device))) {}

 private:
  c10::impl::ExcludeDispatchKeyGuard guard_;
};

inline at::Tensor lowered(const at::Tensor& x, c10::DeviceType device) {
  return at::autocast::cached_cast(at::autocast::get_autocast_dtype(device), x, device);
}

// The next kernel of moga::<name>.
template <class Signature>
c10::TypedOperatorHandle<Signature> operator_named(const std::string& name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(("moga::" + name).c_str(), "").template typed<Signature>();
}

}  // namespace moga::python
