// A person of a story as shapes: the pose follows from shot, frame and place in the picture alone (no hidden
// randomness), so that the parts of a generated person are where the story says.
#pragma once

#include <vector>

#include "moga/data/story/shapes.h"

namespace moga {

// Lengths in frame heights, angles in radians; the person's own measures are in heights of the person.
struct Pose {
  float u = 0, v = 0, scale = 1;              // where the feet would be in the picture, and the person's height there
  float facing = 0;                           // −1 left, 0 towards us, 1 right
  float lift = 0, crouch = 0;                 // of the feet, and of the legs' length
  float bob = 0, lean = 0;                    // breathing and steps; the head's tilt
  float thigh[2] = {0, 0}, shin[2] = {0, 0};  // from hanging down, to the right
  float arm[2] = {0.16f, 0.16f}, elbow[2] = {0.12f, 0.12f};  // left and right in the picture, outwards
  bool swings = false;                                       // arms turn to the right, not outwards: walking
  bool blinks = false;
  bool shadow = false;  // the ground is in the picture
};

// frame: within the shot. half_width: of the picture.
Pose pose_of(const StoryShot& shot, size_t slot, int64_t frame, float half_width);
// How far the camera of a pan has come, in frame heights.
float pan_travel(const StoryShot& shot, int64_t frame);

// How a light colours things: day white, dusk warm.
struct Tint {
  Rgb light = {1, 1, 1};
  float shadow = 0.3f;  // opacity of cast shadows
};
Tint tint_of(Light light);

// The shades of a colour under this light: a pixel of that colour lies between them.
struct Tones {
  Rgb light, dark;
};
Tones tones_of(const Rgb& colour, const Tint& tint);

// Appends the shapes of a person; the same number and forms at every pose.
void append_person(std::vector<Shape>& shapes, const Person& person, int64_t index, const Pose& pose, const Tint& tint);

}  // namespace moga
