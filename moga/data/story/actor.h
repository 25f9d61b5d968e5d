// A person of a story as shapes. The pose is a function of shot, frame and position in the picture only, without hidden
// randomness, so that the parts of a generated person are where the story says.
#pragma once

#include <vector>

#include "moga/data/story/shapes.h"

namespace moga {

// Lengths are in frame heights, angles in radians; the person's own coordinates are in heights of the person.
struct Pose {
  float u = 0, v = 0, scale = 1;              // position of the feet in the picture, height of the person
  float facing = 0;                           // −1 left, 0 towards the camera, 1 right
  float lift = 0, crouch = 0;                 // height of the feet; fraction of the legs' length
  float bob = 0, lean = 0;                    // breathing and steps; the head's tilt
  float thigh[2] = {0, 0}, shin[2] = {0, 0};  // angle from straight down, towards the right
  float arm[2] = {0.16f, 0.16f}, elbow[2] = {0.12f, 0.12f};  // left and right in the picture, positive outwards
  bool swings = false;  // while walking: arm angles are towards the right, not outwards
  bool blinks = false;
  bool shadow = false;  // whether the ground is in the picture
};

// frame: counted within the shot. half_width: half the width of the picture.
Pose pose_of(const StoryShot& shot, size_t slot, int64_t frame, float half_width);
// Distance the camera of a pan has moved, in frame heights.
float pan_travel(const StoryShot& shot, int64_t frame);

// The colour of a light: white by day, warm at dusk.
struct Tint {
  Rgb light = {1, 1, 1};
  float shadow = 0.3f;  // opacity of cast shadows
};
Tint tint_of(Light light);

// The lightest and darkest shades of a colour under this light; pixels of that colour are in this range.
struct Tones {
  Rgb light, dark;
};
Tones tones_of(const Rgb& colour, const Tint& tint);

// Appends the shapes of a person: the same number and forms for every pose.
void append_person(std::vector<Shape>& shapes, const Person& person, int64_t index, const Pose& pose, const Tint& tint);

}  // namespace moga
