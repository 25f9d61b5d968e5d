// The MMDiT in the registry (moga/model/registry.h): MogaMMDiTTransformer3DModel, a class of our own.
#pragma once

#include "moga/model/family.h"

namespace moga {

const VideoFamily& mmdit_family();

}  // namespace moga
