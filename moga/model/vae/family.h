// Wan's VAEs in the registry (moga/model/registry.h): AutoencoderKLWan of diffusers.
#pragma once

#include "moga/model/family.h"

namespace moga {

const CodecFamily& wan_vae_family();

}  // namespace moga
