// ShapesOnly, shapes_of: a module's names and shapes without its weights.
#pragma once

#include <c10/core/impl/LocalDispatchKeySet.h>

namespace moga {

// While one is alive, tensors created by this thread are on the meta device: a module of 14B parameters is built in
// milliseconds without memory. LibTorch has no default device; factory functions choose the CPU in BackendSelect, so
// that key is excluded and the meta backend included. The guards that include or exclude a single key would leave meta
// active when they end, because a backend is never subtracted from a DispatchKeySet.
class ShapesOnly {
  static c10::impl::LocalDispatchKeySet meta() {
    c10::impl::LocalDispatchKeySet keys = c10::impl::tls_local_dispatch_key_set();
    keys.included_ = keys.included_ | c10::DispatchKeySet(c10::DispatchKey::Meta);
    keys.excluded_ = keys.excluded_ | c10::DispatchKeySet(c10::DispatchKey::BackendSelect);
    return keys;
  }

  c10::impl::ForceDispatchKeyGuard guard_{meta()};
};

// A module on the meta device.
template <class Module, class... Arguments>
Module shapes_of(const Arguments&... arguments) {
  const ShapesOnly shapes_only;
  return Module(arguments...);
}

}  // namespace moga
