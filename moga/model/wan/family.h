// Wan2.1's transformer in the registry (moga/model/registry.h): WanTransformer3DModel of diffusers, WanModel of the
// original repository.
#pragma once

#include "moga/model/family.h"

namespace moga {

const VideoFamily& wan_family();

}  // namespace moga
