// A script as a request for a video (denoise.h): shape, captions as the model reads them, images from their files.
#pragma once

#include "moga/data/script.h"
#include "moga/pipeline/denoise.h"

namespace moga {

// Reads the images. Throws one line that names the file when one cannot be read. Logs what does not fit: captions that
// are cut, images of other proportions than the video's, which are stretched.
VideoRequest script_request(const Script& script, const Models& models);

// check_images (images.h) of a script, before any file is read; the error names the shot.
void check_script_images(const Script& script, const ModelConfigs& configs);
// Reads every image of the script, so that a bad one is reported before the model is loaded, which takes long.
void check_image_files(const Script& script);

// "832x480 would keep …": the size with the video's area, as near to the image's proportions as the model's multiples
// allow, as diffusers' examples choose it. Empty when the video's own proportions are within a twentieth.
std::string size_note(PixelSize image, PixelSize video, const Strides& pixels_per_token);

}  // namespace moga
