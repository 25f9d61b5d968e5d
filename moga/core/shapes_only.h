// ShapesOnly: a module's names and shapes without its weights.
#pragma once

#include <c10/core/impl/LocalDispatchKeySet.h>

namespace moga {

// While one lives, the tensors that this thread makes have device meta: a module of 14B parameters is built in
// milliseconds and no memory. LibTorch has no default device; factory functions find the CPU in BackendSelect, so that
// key is left out and the meta backend put in. The guards that include or exclude one key would leave meta behind
// when they end: a backend is never subtracted from a DispatchKeySet.
class ShapesOnly {
  static c10::impl::LocalDispatchKeySet meta() {
    c10::impl::LocalDispatchKeySet keys = c10::impl::tls_local_dispatch_key_set();
    keys.included_ = keys.included_ | c10::DispatchKeySet(c10::DispatchKey::Meta);
    keys.excluded_ = keys.excluded_ | c10::DispatchKeySet(c10::DispatchKey::BackendSelect);
    return keys;
  }

  c10::impl::ForceDispatchKeyGuard guard_{meta()};
};

}  // namespace moga
