"""pgmpy em ext"""
