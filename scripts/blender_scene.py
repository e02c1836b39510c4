"""Run by Blender's Python (PyPI `bpy`): GLB files side by side on a floor, rendered with Cycles.

python blender_scene.py OUT.png WIDTH SAMPLES IN.glb...

Materials stay as they were imported. scripts/blender_image.py calls this.
"""

import math
import sys

import bpy
from mathutils import Matrix, Vector

TURN_RAD = math.radians(-30)
PER_ROW = 4
COLUMN, ROW = 0.95, 1.75  # steps, in scene units; shapes are at most about 0.9 large
PITCH_RAD = math.radians(30)  # of the camera: rows do not hide one another


def place(path: str, spot: tuple[float, float]) -> None:
    """Import a shape, rotate it a little, and place it on the floor."""
    bpy.ops.import_scene.gltf(filepath=path)
    for thing in [thing for thing in bpy.context.selected_objects if thing.type == "MESH"]:
        turn = Matrix.Rotation(TURN_RAD, 4, "Z") @ thing.matrix_world
        corners = [turn @ vertex.co for vertex in thing.data.vertices]
        lowest = min(corner.z for corner in corners)
        thing.matrix_world = Matrix.Translation((*spot, -lowest)) @ turn


def aim(thing: bpy.types.Object, place: Vector, target: Vector) -> None:
    """Place a camera or a lamp, looking at a point."""
    thing.location = place
    thing.rotation_euler = (target - place).to_track_quat("-Z", "Y").to_euler()


def add_stage(scene: bpy.types.Scene) -> None:
    """Add a grey floor, a wide sun from the left, and a little ambient light."""
    bpy.ops.mesh.primitive_plane_add(size=200)
    floor = bpy.data.materials.new("floor")
    floor.use_nodes = True
    look = floor.node_tree.nodes["Principled BSDF"].inputs
    look["Base Color"].default_value = (0.5, 0.5, 0.5, 1.0)
    look["Roughness"].default_value = 1.0
    bpy.context.object.data.materials.append(floor)
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.data.energy, sun.data.angle = 2.2, math.radians(20)
    aim(sun, Vector((-3.0, -4.0, 6.0)), Vector((0, 0, 0)))
    scene.collection.objects.link(sun)
    scene.world = bpy.data.worlds.new("world")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (1, 1, 1, 1)
    scene.world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0.45


def add_camera(scene: bpy.types.Scene, width: float) -> None:
    """Add a distant camera in front and above, with a view `width` scene units wide."""
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.angle = math.radians(20)
    distance = width / 2 / math.tan(camera.data.angle / 2)
    direction = Vector((0, -math.cos(PITCH_RAD), math.sin(PITCH_RAD)))
    target = Vector((0, 0, 0.4))
    aim(camera, target + distance * direction, target)
    scene.collection.objects.link(camera)
    scene.camera = camera


def main(png_path: str, width: str, samples: str, *glb_paths: str) -> None:
    """Build the scene and render it."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    columns = min(PER_ROW, len(glb_paths))
    rows = math.ceil(len(glb_paths) / columns)
    for index, path in enumerate(glb_paths):
        row, column = divmod(index, columns)
        across = (column - (columns - 1) / 2) * COLUMN
        place(path, (across, ((rows - 1) / 2 - row) * ROW))
    add_stage(scene)
    seen_across = columns * COLUMN + 0.4
    seen_up = (rows - 1) * ROW * math.sin(PITCH_RAD) + 1.2
    add_camera(scene, seen_across)
    scene.view_settings.view_transform = "Standard"
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = int(samples)
    scene.cycles.use_denoising = True
    scene.render.resolution_x = int(width)
    scene.render.resolution_y = round(int(width) * seen_up / seen_across)
    scene.render.filepath = png_path
    bpy.ops.render.render(write_still=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
