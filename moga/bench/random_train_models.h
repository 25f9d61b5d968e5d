// The models of a training run with random weights, made where they train: reads no file. Private to the folder.
#pragma once

#include "moga/train/video/train_models.h"

namespace moga {

// Float32, with an output layer that is not zero. The numbers are those of the device's default generator, so ranks
// that are in the same state have the same weights.
TrainModels random_train_models(const TrainConfig& config, c10::Device device);

}  // namespace moga
